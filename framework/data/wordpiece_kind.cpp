#include "data/wordpiece_kind.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/tokenizer_files.h"
#include "data/wordpiece_tokenizer.h"
#include "data/wordpiece_training.h"

namespace triga {
namespace {

constexpr const char *kTokenizerJson = "tokenizer.json", *kVocabTxt = "vocab.txt",
                     *kTokenizerConfig = "tokenizer_config.json";
const std::vector<std::string> kFiles = {kTokenizerJson, kTokenizerConfig,
                                         "special_tokens_map.json"};

struct WordPieceConfig {
  std::optional<ConfigPath> from;
  std::optional<int64_t> vocab_size;
  int64_t limit_alphabet = 1000;
  WordPieceSettings settings;
  std::string end_of_text = "[SEP]";
};

void describe_settings(Fields& fields, WordPieceSettings& settings) {
  fields.field("lowercase", settings.lowercase)
      .help("Upper and lower case alike. auto: what the files say, else true.")
      .empty_word("auto")
      .known_as({"do_lower_case", "do_lowercase", "uncased"});
  fields.field("strip_accents", settings.strip_accents)
      .help(
          "Without accents (NFD, then no nonspacing marks). auto: what the files say, else as "
          "lowercase.")
      .empty_word("auto");
  fields.field("handle_chinese_chars", settings.handle_chinese_chars)
      .help("Each ideograph is a word. auto: what the files say, else true.")
      .empty_word("auto")
      .known_as({"tokenize_chinese_chars"});
  fields.field("clean_text", settings.clean_text)
      .help("Without control characters. auto: what the files say, else true.")
      .empty_word("auto");
  fields.field("max_input_chars_per_word", settings.max_input_chars_per_word)
      .help("A longer word becomes the unknown token. auto: what the files say, else 100.")
      .unit("characters")
      .at_least(1)
      .empty_word("auto");
  fields.field("continuing_prefix", settings.continuing_prefix)
      .help("Of pieces that do not begin a word. auto: what the files say, else ##.")
      .empty_word("auto")
      .known_as({"continuing_subword_prefix", "wordpieces_prefix", "prefix"});
  fields.field("unk_token", settings.unk_token)
      .help("What a word becomes that has no pieces. auto: what the files say, else [UNK].")
      .empty_word("auto")
      .known_as({"unknown_token"});
}

void describe(Fields& fields, WordPieceConfig& config) {
  fields.field("from", config.from)
      .help(
          "Read it from here: a tokenizer.json, a vocab.txt, or a folder with one of them, as "
          "BERT's. Its ids are those of Hugging Face tokenizers.")
      .empty_word("none")
      .known_as({"path", "file", "tokenizer_file", "vocab_file", "pretrained"});
  fields.field("vocab_size", config.vocab_size)
      .help(
          "Learn it from the training data: so many tokens, with [PAD] [UNK] [CLS] [SEP] [MASK] "
          "and the characters. Kept in the cache under the data's content, and in every "
          "checkpoint.")
      .unit("tokens")
      .at_least(6)
      .at_most(1 << 20)
      .empty_word("none")
      .known_as({"num_tokens", "size"});
  fields.field("limit_alphabet", config.limit_alphabet)
      .help(
          "When it is learned: so many different characters, the most frequent ones. A word with "
          "another becomes the unknown token.")
      .unit("characters")
      .at_least(1)
      .known_as({"alphabet_size"});
  describe_settings(fields, config.settings);
  fields.field("end_of_text", config.end_of_text)
      .help("The token that ends a document. '': none does.")
      .known_as({"eos_token", "eot_token", "end_of_text_token"});
  fields.rule("vocab_size",
              [&config] { return problem_of_source(config.from, config.vocab_size); });
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const Path& path, const WordPieceConfig& config) {
  auto files = read_tokenizer_files(path.parent_path(), kFiles);
  files[kTokenizerJson] = read_tokenizer_file(path);
  const WordPieceModel model =
      parse_wordpiece_json(files[kTokenizerJson], config.settings, path.string());
  return std::make_unique<WordPieceTokenizer>(model, config.end_of_text, std::move(files));
}

std::unique_ptr<Tokenizer> read_vocab_txt(const Path& path, const WordPieceConfig& config) {
  const auto beside = read_tokenizer_files(path.parent_path(), {kTokenizerConfig});
  const WordPieceModel model =
      parse_vocab_txt(read_tokenizer_file(path), beside.empty() ? "" : beside.at(kTokenizerConfig),
                      config.settings, path.string());
  return std::make_unique<WordPieceTokenizer>(model, config.end_of_text);
}

std::unique_ptr<Tokenizer> read_from(const Path& path, const WordPieceConfig& config) {
  FileSystem& files = posix_files();
  if (std::filesystem::is_regular_file(path))
    return path.extension() == ".json" ? read_tokenizer_json(path, config)
                                       : read_vocab_txt(path, config);
  if (exists(files, path / kTokenizerJson))
    return read_tokenizer_json(path / kTokenizerJson, config);
  if (exists(files, path / kVocabTxt)) return read_vocab_txt(path / kVocabTxt, config);
  throw ConfigError(fmt::format("from: {}: {}", path.string(),
                                exists(files, path)
                                    ? "a folder without tokenizer.json, and without vocab.txt"
                                    : "no such file or folder"));
}

/// BERT's, and the end of text where it is none of them.
std::vector<std::string> special_tokens(const WordPieceModel& model,
                                        const std::string& end_of_text) {
  std::vector<std::string> tokens;
  const auto add = [&](const std::string& token) {
    if (!token.empty() && std::find(tokens.begin(), tokens.end(), token) == tokens.end())
      tokens.push_back(token);
  };
  for (const std::string& token : model.special_tokens()) add(token);
  add(end_of_text);
  return tokens;
}

std::string learn(const WordPieceConfig& config, const TokenizerContext& context) {
  WordPieceModel model = WordPieceModel::with(config.settings);
  WordPieceTraining training(model.reading);
  for_each_training_text(context, [&](std::string_view text) { training.add(text); });
  WordPieceTraining::Options options;
  options.special_tokens = special_tokens(model, config.end_of_text);
  options.vocab_size = *config.vocab_size;
  options.limit_alphabet = config.limit_alphabet;
  options.continuing_prefix = model.pieces.continuing_prefix;
  options.progress = [&](int64_t num_tokens) {
    context.report_progress("tokens of the vocabulary", num_tokens, *config.vocab_size);
  };
  model.names = training.train(options);
  warn_of_small_vocabulary(model.names.size(), options.vocab_size);
  for (const std::string& token : options.special_tokens)
    model.added.push_back({token, static_cast<int32_t>(model.added.size()), true});
  return to_tokenizer_json(model);
}

/// What a learned vocabulary depends on beside the data.
Fingerprint fingerprint_of(const WordPieceConfig& config) {
  const WordPieceModel model = WordPieceModel::with(config.settings);
  Fingerprint fingerprint;
  fingerprint.add("wordpiece 1");
  for (const int64_t number : {*config.vocab_size, config.limit_alphabet}) fingerprint.add(number);
  fingerprint.add(config.end_of_text);
  fingerprint.add(to_tokenizer_json(model));  // all settings, and no vocabulary
  return fingerprint;
}

std::unique_ptr<Tokenizer> make_wordpiece(const WordPieceConfig& config,
                                          const TokenizerContext& context) {
  if (const auto found = context.files.find(kTokenizerJson); found != context.files.end())
    return std::make_unique<WordPieceTokenizer>(
        parse_wordpiece_json(found->second, {}, "tokenizer.json of the checkpoint"),
        config.end_of_text, files_named(context.files, kFiles));
  if (config.from) return read_from(config.from->path, config);
  const std::string json =
      learned_vocabulary(context, fingerprint_of(config), [&] { return learn(config, context); });
  return std::make_unique<WordPieceTokenizer>(
      parse_wordpiece_json(json, {}, "the learned vocabulary"), config.end_of_text);
}

}  // namespace

void register_wordpiece(Registry& registry) {
  registry.tokenizers.add<WordPieceConfig>(
      "wordpiece",
      "Pieces of words, as BERT's: from a tokenizer.json or a vocab.txt, or learned from the "
      "training data.",
      make_wordpiece);
}

}  // namespace triga
