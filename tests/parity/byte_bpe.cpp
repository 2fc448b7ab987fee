// byte_bpe read FOLDER: reads the tokenizer in FOLDER; of each text on standard input (its size on
// a line, then its bytes) prints the tokens, then the size and bytes of what they decode to.
// byte_bpe learn FOLDER FILE VOCAB_SIZE: learns from the text of FILE, writes files into FOLDER.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "data/core_kinds.h"

namespace {

using triga::ConfigNode;

std::unique_ptr<triga::Tokenizer> make(const std::string& key, const std::string& value,
                                       const triga::TokenizerContext& context) {
  triga::Registry registry;
  triga::register_core_tokenizers(registry);
  ConfigNode config = ConfigNode::make_mapping();
  config.add(key, ConfigNode::make_scalar(value));
  for (const auto& kind : registry.tokenizers.kinds())
    if (kind.name == "byte_bpe") return kind.create(config, context);
  throw triga::Error("no kind byte_bpe");
}

void learn(const std::string& folder, const std::string& file, const std::string& vocab_size) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  triga::TokenizerContext context;
  context.for_each_text = [&](const auto& visit) { visit(text); };
  for (const auto& [name, content] : make("vocab_size", vocab_size, context)->files())
    std::ofstream(std::filesystem::path(folder) / name) << content;
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
  const std::string folder = arguments[2];
  if (count == 5)
    learn(folder, arguments[3], arguments[4]);
  else
    encode(*make("from", folder, {}));
}
