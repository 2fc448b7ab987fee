#include "data/byte_bpe_kind.h"

#include <fmt/format.h>

#include "base/files.h"
#include "data/bpe_training.h"
#include "data/byte_bpe_tokenizer.h"
#include "data/cache_entry.h"
#include "data/fingerprint.h"
#include "data/utf8.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr const char* kOtherFiles[] = {"tokenizer_config.json", "special_tokens_map.json"};

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
  fields.rule("vocab_size", [&config]() -> std::optional<std::string> {
    if (config.from && config.vocab_size)
      return "from: and vocab_size: are both given; a tokenizer is either read or learned";
    if (!config.from && !config.vocab_size)
      return "neither from: (read it) nor vocab_size: (learn it) is given; give one of them";
    return std::nullopt;
  });
}

std::string read(const Path& path) {
  try {
    return read_text(posix_files(), path);
  } catch (const FileError& error) {
    throw ConfigError(error.what());
  }
}

/// tokenizer.json as it is, and what lies beside it.
std::map<std::string, std::string> files_beside(const Path& tokenizer_json) {
  std::map<std::string, std::string> files = {{kTokenizerJson, read(tokenizer_json)}};
  for (const char* name : kOtherFiles) {
    const Path path = tokenizer_json.parent_path() / name;
    if (exists(posix_files(), path)) files[name] = read(path);
  }
  return files;
}

std::unique_ptr<Tokenizer> tokenizer_of(const std::map<std::string, std::string>& files,
                                        const std::string& place, const ByteBpeConfig& config) {
  return std::make_unique<ByteBpeTokenizer>(parse_tokenizer_json(files.at(kTokenizerJson), place),
                                            config.end_of_text, files);
}

std::unique_ptr<Tokenizer> read_from(const Path& path, const ByteBpeConfig& config) {
  FileSystem& files = posix_files();
  if (std::filesystem::is_regular_file(path))
    return tokenizer_of(files_beside(path), path.string(), config);
  if (exists(files, path / kTokenizerJson))
    return tokenizer_of(files_beside(path / kTokenizerJson), (path / kTokenizerJson).string(),
                        config);
  if (exists(files, path / "vocab.json") && exists(files, path / "merges.txt"))
    return std::make_unique<ByteBpeTokenizer>(
        parse_vocab_and_merges(read(path / "vocab.json"), read(path / "merges.txt"),
                               config.end_of_text, path.string()),
        config.end_of_text);
  throw ConfigError(fmt::format(
      "from: {}: {}", path.string(),
      exists(files, path) ? "a folder without tokenizer.json, and without vocab.json and merges.txt"
                          : "no such file or folder"));
}

using Learned = BytePairTraining::Learned;

Learned learn(const ByteBpeConfig& config, const TokenizerContext& context) {
  BytePairTraining training;
  int64_t num_texts = 0;
  context.for_each_text([&](std::string_view text) {
    context.report_progress("words of the training data", num_texts++, 0);
    if (find_invalid_utf8(text))
      training.add(replace_invalid_utf8(text));
    else
      training.add(text);
  });
  BytePairTraining::Options options;
  if (!config.end_of_text.empty()) options.special_tokens = {config.end_of_text};
  options.vocab_size = *config.vocab_size;
  options.progress = [&](int64_t num_tokens) {
    context.report_progress("tokens of the vocabulary", num_tokens, *config.vocab_size);
  };
  Learned learned = training.train(options);
  if (static_cast<int64_t>(learned.tokens.size()) < options.vocab_size)
    log_warning("data", "the training data gives a vocabulary of only ", learned.tokens.size(),
                " tokens, not ", options.vocab_size, ": no two neighbours occur twice any more");
  return learned;
}

std::string learned_json(const ByteBpeConfig& config, const TokenizerContext& context) {
  const Learned learned = learn(config, context);
  return to_tokenizer_json(learned_model(learned.merges, learned.tokens, config.end_of_text));
}

/// Where a vocabulary learned from this data is cached.
Path cache_path(const ByteBpeConfig& config, const TokenizerContext& context) {
  Fingerprint fingerprint;
  fingerprint.add("byte_bpe 1");
  fingerprint.add(*config.vocab_size);
  fingerprint.add(config.end_of_text);
  context.for_each_text([&](std::string_view text) { fingerprint.add(text); });
  return Path(context.cache_dir) / "tokenizers" / (fingerprint.text() + ".json");
}

std::string learned_or_cached(const ByteBpeConfig& config, const TokenizerContext& context) {
  if (context.cache_dir.empty()) return learned_json(config, context);
  const Path path = cache_path(config, context);
  try {
    make_cached_file(posix_files(), path, "the vocabulary", [&](const Path& temporary) {
      atomic_write(posix_files(), temporary, learned_json(config, context));
    });
    return read_text(posix_files(), path);
  } catch (const FileError& error) {
    log_warning("data", error.what(),
                ": the vocabulary is not cached, and each process learns it; ",
                "TRIGA_CACHE_DIR names another folder");
    return learned_json(config, context);
  }
}

std::unique_ptr<Tokenizer> make_byte_bpe(const ByteBpeConfig& config,
                                         const TokenizerContext& context) {
  if (const auto found = context.files.find(kTokenizerJson); found != context.files.end()) {
    std::map<std::string, std::string> own = {*found};
    for (const char* name : kOtherFiles)
      if (const auto other = context.files.find(name); other != context.files.end())
        own.insert(*other);
    return tokenizer_of(own, "tokenizer.json of the checkpoint", config);
  }
  if (config.from) return read_from(config.from->path, config);
  if (!context.for_each_text)
    throw ConfigError(
        "the vocabulary is learned from the training data, which is not read here; name a "
        "tokenizer.json with from:");
  return std::make_unique<ByteBpeTokenizer>(
      parse_tokenizer_json(learned_or_cached(config, context), "the learned vocabulary"),
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
