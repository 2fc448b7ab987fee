#include "data/byte_bpe_kind.h"

#include <fmt/format.h>

#include "data/bpe_training.h"
#include "data/byte_bpe_tokenizer.h"
#include "data/tokenizer_files.h"

namespace triga {
namespace {

constexpr const char* kTokenizerJson = "tokenizer.json";
const std::vector<std::string> kFiles = {kTokenizerJson, "tokenizer_config.json",
                                         "special_tokens_map.json"};

struct ByteBpeConfig {
  std::optional<ConfigPath> from;
  std::optional<int64_t> vocab_size;
  std::string end_of_text = "<|endoftext|>";
};

void describe(Fields& fields, ByteBpeConfig& config) {
  fields.field("from", config.from)
      .help(
          "Read it from here: a tokenizer.json, or a folder with a tokenizer.json or with GPT-2's "
          "vocab.json and merges.txt. Its ids are those of Hugging Face tokenizers.")
      .empty_word("none")
      .known_as({"path", "file", "tokenizer_file", "vocab_file", "pretrained"});
  fields.field("vocab_size", config.vocab_size)
      .help(
          "Learn it from the training data: so many tokens, with the 256 bytes and the end of "
          "text. Kept in the cache under the data's content, and in every checkpoint.")
      .unit("tokens")
      .at_least(257)
      .at_most(1 << 20)
      .empty_word("none")
      .known_as({"num_tokens", "size", "num_merges"});
  fields.field("end_of_text", config.end_of_text)
      .help("The token that ends a document. '': none does.")
      .known_as({"eos_token", "eot_token", "end_of_text_token"});
  fields.rule("vocab_size",
              [&config] { return problem_of_source(config.from, config.vocab_size); });
}

std::unique_ptr<Tokenizer> tokenizer_of(std::map<std::string, std::string> files,
                                        const std::string& place, const ByteBpeConfig& config) {
  ByteBpeModel model = parse_tokenizer_json(files.at(kTokenizerJson), place);
  return std::make_unique<ByteBpeTokenizer>(std::move(model), config.end_of_text, std::move(files));
}

/// tokenizer.json as it is, and what lies beside it.
std::unique_ptr<Tokenizer> read_tokenizer_json(const Path& path, const ByteBpeConfig& config) {
  auto files = read_tokenizer_files(path.parent_path(), kFiles);
  files[kTokenizerJson] = read_tokenizer_file(path);
  return tokenizer_of(std::move(files), path.string(), config);
}

std::unique_ptr<Tokenizer> read_from(const Path& path, const ByteBpeConfig& config) {
  FileSystem& files = posix_files();
  if (std::filesystem::is_regular_file(path)) return read_tokenizer_json(path, config);
  if (exists(files, path / kTokenizerJson))
    return read_tokenizer_json(path / kTokenizerJson, config);
  if (exists(files, path / "vocab.json") && exists(files, path / "merges.txt"))
    return std::make_unique<ByteBpeTokenizer>(
        parse_vocab_and_merges(read_tokenizer_file(path / "vocab.json"),
                               read_tokenizer_file(path / "merges.txt"), config.end_of_text,
                               path.string()),
        config.end_of_text);
  throw ConfigError(fmt::format(
      "from: {}: {}", path.string(),
      exists(files, path) ? "a folder without tokenizer.json, and without vocab.json and merges.txt"
                          : "no such file or folder"));
}

std::string learn(const ByteBpeConfig& config, const TokenizerContext& context) {
  BytePairTraining training;
  for_each_training_text(context, [&](std::string_view text) { training.add(text); });
  BytePairTraining::Options options;
  if (!config.end_of_text.empty()) options.special_tokens = {config.end_of_text};
  options.vocab_size = *config.vocab_size;
  options.progress = [&](int64_t num_tokens) {
    context.report_progress("tokens of the vocabulary", num_tokens, *config.vocab_size);
  };
  const BytePairTraining::Learned learned = training.train(options);
  warn_of_small_vocabulary(learned.tokens.size(), options.vocab_size);
  return to_tokenizer_json(learned_model(learned.merges, learned.tokens, config.end_of_text));
}

std::unique_ptr<Tokenizer> make_byte_bpe(const ByteBpeConfig& config,
                                         const TokenizerContext& context) {
  if (context.files.contains(kTokenizerJson))
    return tokenizer_of(files_named(context.files, kFiles), "tokenizer.json of the checkpoint",
                        config);
  if (config.from) return read_from(config.from->path, config);
  Fingerprint options;
  options.add("byte_bpe 1");
  options.add(*config.vocab_size);
  options.add(config.end_of_text);
  const std::string json =
      learned_vocabulary(context, std::move(options), [&] { return learn(config, context); });
  return std::make_unique<ByteBpeTokenizer>(parse_tokenizer_json(json, "the learned vocabulary"),
                                            config.end_of_text);
}

}  // namespace

void register_byte_bpe(Registry& registry) {
  registry.tokenizers.add<ByteBpeConfig>(
      "byte_bpe",
      "Byte-pair encoding of bytes, as GPT-2's: from a tokenizer.json, or learned from the "
      "training data.",
      make_byte_bpe);
}

}  // namespace triga
