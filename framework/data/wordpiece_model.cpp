#include "data/wordpiece_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/utf8.h"
#include "data/tokenizer_json.h"

namespace triga {
namespace {

constexpr const char *kPadding = "[PAD]", *kFirst = "[CLS]", *kLast = "[SEP]", *kMasked = "[MASK]";

template <class T>
void set(T& value, const std::optional<T>& given) {
  if (given) value = *given;
}

/// A setting of the experiment against the file's own.
template <class T>
void expect_same(const char* name, const std::optional<T>& given, const T& in_file,
                 const TokenizerFile& file) {
  if (given && *given != in_file)
    refuse(file,
           fmt::format("{}: {} here, {} in the file; leave the key out", name, *given, in_file));
}

void expect_same(const WordPieceSettings& settings, const WordPieceModel& model,
                 const TokenizerFile& file) {
  expect_same("lowercase", settings.lowercase, model.reading.lowercase, file);
  expect_same("strip_accents", settings.strip_accents, model.reading.strips_accents(), file);
  expect_same("handle_chinese_chars", settings.handle_chinese_chars,
              model.reading.handle_chinese_chars, file);
  expect_same("clean_text", settings.clean_text, model.reading.clean_text, file);
  expect_same("max_input_chars_per_word", settings.max_input_chars_per_word,
              model.pieces.max_input_chars_per_word, file);
  expect_same("continuing_prefix", settings.continuing_prefix, model.pieces.continuing_prefix,
              file);
  expect_same("unk_token", settings.unk_token, model.pieces.unk_token, file);
}

/// One of the types, or none where that is among them.
std::string expect_type(const Json& json, const char* part, const std::vector<std::string>& types,
                        const TokenizerFile& file) {
  const std::string type = type_of(json, part);
  if (std::find(types.begin(), types.end(), type) == types.end())
    refuse(file,
           fmt::format("{} is {}; wordpiece reads only {}", part, type, fmt::join(types, ", ")));
  return type;
}

std::optional<bool> optional_flag(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

/// A special token stands there as its text, or as an object that holds it.
std::optional<std::string> token_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  const Json& text = found->is_object() ? found->value("content", Json()) : *found;
  if (!text.is_string()) return std::nullopt;
  return text.get<std::string>();
}

void read_normalizer(const Json& json, BertText& reading, const TokenizerFile& file) {
  if (expect_type(json, "normalizer", {"BertNormalizer", "none"}, file) == "none") {
    reading = {.lowercase = false,
               .strip_accents = false,
               .handle_chinese_chars = false,
               .clean_text = false};
    return;
  }
  const Json& normalizer = json["normalizer"];
  reading.lowercase = flag(normalizer, "lowercase", true);
  reading.strip_accents = optional_flag(normalizer, "strip_accents");
  reading.handle_chinese_chars = flag(normalizer, "handle_chinese_chars", true);
  reading.clean_text = flag(normalizer, "clean_text", true);
}

void read_pieces(const Json& model_json, WordPieces::Options& pieces, const TokenizerFile& file) {
  set(pieces.continuing_prefix, token_text(model_json, "continuing_subword_prefix"));
  set(pieces.unk_token, token_text(model_json, "unk_token"));
  const auto longest = model_json.find("max_input_chars_per_word");
  if (longest == model_json.end()) return;
  if (!longest->is_number_integer() || longest->get<int64_t>() < 1)
    refuse(file, "model.max_input_chars_per_word: " + longest->dump());
  pieces.max_input_chars_per_word = longest->get<int64_t>();
}

/// A line ends before the white space at its end.
std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
    line.remove_suffix(1);
  return line;
}

WordPieceSettings with_config_of(WordPieceSettings settings, std::string_view tokenizer_config,
                                 const TokenizerFile& file) {
  if (tokenizer_config.empty()) return settings;
  const Json json = parse_json(tokenizer_config, file);
  if (!settings.lowercase) settings.lowercase = optional_flag(json, "do_lower_case");
  if (!settings.strip_accents) settings.strip_accents = optional_flag(json, "strip_accents");
  if (!settings.handle_chinese_chars)
    settings.handle_chinese_chars = optional_flag(json, "tokenize_chinese_chars");
  if (!settings.unk_token) settings.unk_token = token_text(json, "unk_token");
  return settings;
}

OrderedJson optional_json(const std::optional<bool>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

const AddedToken* find_added(const WordPieceModel& model, const std::string& text) {
  const auto found = std::find_if(model.added.begin(), model.added.end(),
                                  [&](const AddedToken& token) { return token.text == text; });
  return found == model.added.end() ? nullptr : &*found;
}

/// [CLS] text [SEP], which others' calls add; ours leave it to the model.
OrderedJson post_processor(const WordPieceModel& model) {
  const AddedToken *first = find_added(model, kFirst), *last = find_added(model, kLast);
  if (first == nullptr || last == nullptr) return nullptr;
  const auto part = [](const char* sort, const std::string& name, int type) {
    OrderedJson json;
    json[sort] = {{"id", name}, {"type_id", type}};
    return json;
  };
  const auto special = [&](const AddedToken* token, int type) {
    return part("SpecialToken", token->text, type);
  };
  const auto sequence = [&](const char* name, int type) { return part("Sequence", name, type); };
  OrderedJson tokens = OrderedJson::object();
  for (const AddedToken* token : {first, last})
    tokens[token->text] = {{"id", token->text},
                           {"ids", OrderedJson::array({token->id})},
                           {"tokens", OrderedJson::array({token->text})}};
  return {{"type", "TemplateProcessing"},
          {"single", OrderedJson::array({special(first, 0), sequence("A", 0), special(last, 0)})},
          {"pair", OrderedJson::array({special(first, 0), sequence("A", 0), special(last, 0),
                                       sequence("B", 1), special(last, 1)})},
          {"special_tokens", tokens}};
}

/// Whether transformers' BertTokenizer, which makes the tokenizer anew, makes this one.
bool is_plain_bert(const WordPieceModel& model) {
  const std::vector<std::string> special = model.special_tokens();
  return model.reading.clean_text && model.pieces.continuing_prefix == "##" &&
         model.pieces.max_input_chars_per_word == 100 && model.cleans_up &&
         model.added.size() == special.size() &&
         std::all_of(special.begin(), special.end(),
                     [&](const std::string& token) { return find_added(model, token) != nullptr; });
}

std::string tokenizer_config(const WordPieceModel& model, bool is_plain) {
  OrderedJson config = {{"tokenizer_class", is_plain ? "BertTokenizer" : "PreTrainedTokenizerFast"},
                        {"do_lower_case", model.reading.lowercase},
                        {"strip_accents", optional_json(model.reading.strip_accents)},
                        {"tokenize_chinese_chars", model.reading.handle_chinese_chars}};
  const std::string& unknown = model.pieces.unk_token;
  const std::pair<const char*, const std::string> roles[] = {{"unk_token", unknown},
                                                             {"pad_token", kPadding},
                                                             {"cls_token", kFirst},
                                                             {"sep_token", kLast},
                                                             {"mask_token", kMasked}};
  for (const auto& [role, text] : roles)
    if (find_added(model, text) != nullptr) config[role] = text;
  config["clean_up_tokenization_spaces"] = false;
  return config.dump(2) + "\n";
}

/// Nothing: a list of lines cannot say it.
std::optional<std::string> to_vocab_txt(const WordPieceModel& model) {
  std::string lines;
  for (const std::string& name : model.names) {
    if (name.empty() || name.find('\n') != name.npos || trimmed(name) != name) return std::nullopt;
    lines += name + '\n';
  }
  return lines;
}

}  // namespace

WordPieceModel WordPieceModel::with(const WordPieceSettings& settings) {
  WordPieceModel model;
  set(model.reading.lowercase, settings.lowercase);
  model.reading.strip_accents = settings.strip_accents;
  set(model.reading.handle_chinese_chars, settings.handle_chinese_chars);
  set(model.reading.clean_text, settings.clean_text);
  set(model.pieces.max_input_chars_per_word, settings.max_input_chars_per_word);
  set(model.pieces.continuing_prefix, settings.continuing_prefix);
  set(model.pieces.unk_token, settings.unk_token);
  return model;
}

std::vector<std::string> WordPieceModel::special_tokens() const {
  return {kPadding, pieces.unk_token, kFirst, kLast, kMasked};
}

void WordPieceModel::add_special_tokens() {
  for (const std::string& token : special_tokens())
    if (const auto found = std::find(names.rbegin(), names.rend(), token); found != names.rend())
      added.push_back({token, static_cast<int32_t>(names.rend() - found - 1), true});
}

WordPieceModel parse_wordpiece_json(std::string_view text, const WordPieceSettings& settings,
                                    const std::string& place) {
  const TokenizerFile file{place, "wordpiece"};
  const Json json = parse_json(text, file);
  const Json& model_json = model_of(json, "WordPiece", file);
  WordPieceModel model;
  read_normalizer(json, model.reading, file);
  expect_type(json, "pre_tokenizer", {"BertPreTokenizer"}, file);
  expect_type(json, "post_processor", {"BertProcessing", "TemplateProcessing", "none"}, file);
  if (expect_type(json, "decoder", {"WordPiece", "none"}, file) == "WordPiece")
    model.cleans_up = flag(json["decoder"], "cleanup", true);
  read_pieces(model_json, model.pieces, file);
  expect_same(settings, model, file);
  model.names = read_vocab(model_json["vocab"], file);
  std::vector<std::string> all_names = model.names;
  model.added = read_added_tokens(json, all_names, file);
  return model;
}

WordPieceModel parse_vocab_txt(std::string_view vocab_txt, std::string_view tokenizer_config,
                               const WordPieceSettings& settings, const std::string& place) {
  const TokenizerFile file{place, "wordpiece"};
  if (find_invalid_utf8(vocab_txt)) refuse(file, "not UTF-8 text");
  WordPieceModel model = WordPieceModel::with(with_config_of(
      settings, tokenizer_config, {place + ", tokenizer_config.json beside it", "wordpiece"}));
  for (size_t begin = 0; begin < vocab_txt.size();) {
    const size_t end = std::min(vocab_txt.find('\n', begin), vocab_txt.size());
    model.names.emplace_back(trimmed(vocab_txt.substr(begin, end - begin)));
    begin = end + 1;
  }
  model.add_special_tokens();
  return model;
}

std::string to_tokenizer_json(const WordPieceModel& model) {
  const BertText& reading = model.reading;
  std::vector<std::string> names = model.names;
  std::map<std::string_view, size_t> last;  // of equal names
  for (size_t id = 0; id < model.names.size(); ++id) {
    const auto [found, is_new] = last.emplace(model.names[id], id);
    if (!is_new) names[std::exchange(found->second, id)].clear();
  }
  return tokenizer_json(
      {.added = model.added,
       .normalizer = {{"type", "BertNormalizer"},
                      {"clean_text", reading.clean_text},
                      {"handle_chinese_chars", reading.handle_chinese_chars},
                      {"strip_accents", optional_json(reading.strip_accents)},
                      {"lowercase", reading.lowercase}},
       .pre_tokenizer = OrderedJson::object({{"type", "BertPreTokenizer"}}),
       .post_processor = post_processor(model),
       .decoder = {{"type", "WordPiece"},
                   {"prefix", model.pieces.continuing_prefix},
                   {"cleanup", model.cleans_up}},
       .model = {{"type", "WordPiece"},
                 {"unk_token", model.pieces.unk_token},
                 {"continuing_subword_prefix", model.pieces.continuing_prefix},
                 {"max_input_chars_per_word", model.pieces.max_input_chars_per_word},
                 {"vocab", vocab_json(names)}}});
}

std::map<std::string, std::string> files_of(const WordPieceModel& model) {
  const std::optional<std::string> vocab_txt = to_vocab_txt(model);
  std::map<std::string, std::string> files = {
      {"tokenizer.json", to_tokenizer_json(model)},
      {"tokenizer_config.json", tokenizer_config(model, vocab_txt && is_plain_bert(model))}};
  if (vocab_txt) files["vocab.txt"] = *vocab_txt;
  return files;
}

}  // namespace triga
