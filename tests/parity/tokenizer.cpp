// tokenizer KIND read FOLDER [KEY=VALUE...]: reads the tokenizer in FOLDER; of each text on standard
// input (its size on a line, then its bytes) prints the tokens, then the size and bytes of what they
// decode to.
// tokenizer KIND learn FOLDER FILE KEY=VALUE...: learns from the text of FILE, writes the tokenizer's
// files into FOLDER.
// tokenizer KIND copy FROM TO [KEY=VALUE...]: reads the one in FROM, writes its files into TO.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "data/core_kinds.h"

namespace {

using triga::ConfigNode;

using Options = std::vector<std::string>;  // KEY=VALUE

std::unique_ptr<triga::Tokenizer> make(const std::string& kind, const Options& options,
                                       const triga::TokenizerContext& context) {
  triga::Registry registry;
  triga::register_core_tokenizers(registry);
  ConfigNode config = ConfigNode::make_mapping();
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    config.add(option.substr(0, equals), ConfigNode::make_scalar(option.substr(equals + 1)));
  }
  for (const auto& each : registry.tokenizers.kinds())
    if (each.name == kind) return each.create(config, context);
  throw triga::Error("no kind " + kind);
}

void write(const triga::Tokenizer& tokenizer, const std::filesystem::path& folder) {
  for (const auto& [name, content] : tokenizer.files()) std::ofstream(folder / name) << content;
}

triga::TokenizerContext learning_from(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  triga::TokenizerContext context;
  context.for_each_text = [text](const auto& visit) { visit(text); };
  return context;
}

void encode(const triga::Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    std::string text(std::stoul(line), '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    const std::vector<int32_t> tokens = tokenizer.encode(text);
    for (const int32_t token : tokens) std::cout << token << ' ';
    const std::string decoded = tokenizer.decode(tokens);
    std::cout << '\n' << decoded.size() << '\n' << decoded;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string kind = arguments[1], action = arguments[2], folder = arguments[3];
  const int num_words = action == "read" ? 4 : 5;
  Options options(arguments + num_words, arguments + count);
  if (action == "learn") {
    write(*make(kind, options, learning_from(arguments[4])), folder);
    return 0;
  }
  options.push_back("from=" + folder);
  if (action == "copy")
    write(*make(kind, options, {}), arguments[4]);
  else
    encode(*make(kind, options, {}));
}
