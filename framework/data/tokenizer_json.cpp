#include "data/tokenizer_json.h"

#include <fmt/format.h>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int64_t kMostTokens =
    1 << 22;  // far above any vocabulary: a wrong id must not cost memory

bool is_token_id(const Json& id) {
  return id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < kMostTokens;
}

OrderedJson added_token(const AddedToken& token) {
  return {{"id", token.id},
          {"content", token.text},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", token.is_normalized},
          {"special", token.is_special}};
}

}  // namespace

void refuse(const TokenizerFile& file, const std::string& why) {
  throw ConfigError(file.place + ": " + why);
}

Json parse_json(std::string_view text, const TokenizerFile& file) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse(file, "not a JSON object");
  return json;
}

const Json& model_of(const Json& json, const char* type, const TokenizerFile& file) {
  const auto model = json.find("model");
  if (model == json.end() || !model->is_object() || !model->contains("vocab"))
    refuse(file, "not a tokenizer.json: it has no model.vocab");
  expect(*model, "type", type, "model", file);
  return *model;
}

void expect(const Json& object, const char* key, const Json& supported, const std::string& path,
            const TokenizerFile& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == supported || *found == Json(""))
    return;
  refuse(file, fmt::format("{}.{}: {}; {} reads only {}", path, key, found->dump(), file.kind,
                           supported.dump()));
}

bool flag(const Json& object, const char* key, bool default_value) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : default_value;
}

std::string type_of(const Json& json, const char* part) {
  const auto found = json.find(part);
  if (found == json.end() || found->is_null()) return "none";
  if (!found->is_object()) return found->dump();
  const auto type = found->find("type");
  return type != found->end() && type->is_string() ? type->get<std::string>() : "of no type";
}

std::vector<std::string> read_vocab(const Json& vocab, const TokenizerFile& file) {
  if (!vocab.is_object() || vocab.empty()) refuse(file, "vocab: not an object of token: id");
  std::vector<std::string> names;
  for (const auto& [name, id] : vocab.items()) {
    if (!is_token_id(id)) refuse(file, fmt::format("vocab: the id of '{}' is {}", name, id.dump()));
    const auto index = id.get<size_t>();
    if (index >= names.size()) names.resize(index + 1);
    if (!names[index].empty())
      refuse(file,
             fmt::format("vocab: '{}' and '{}' have the same id {}", names[index], name, index));
    names[index] = name;
  }
  return names;
}

std::vector<AddedToken> read_added_tokens(const Json& json, std::vector<std::string>& names,
                                          const TokenizerFile& file) {
  std::vector<AddedToken> tokens;
  const auto found = json.find("added_tokens");
  if (found == json.end() || !found->is_array()) return tokens;
  for (const Json& token : *found) {
    if (!token.is_object() || !token.contains("content") || !token["content"].is_string() ||
        token["content"] == "" || !token.contains("id") || !is_token_id(token["id"]))
      refuse(file, "added token " + token.dump() + ": expected content and id");
    const std::string path = "added token " + token["content"].get<std::string>();
    for (const char* key : {"single_word", "lstrip", "rstrip"})
      expect(token, key, false, path, file);
    AddedToken added{token["content"].get<std::string>(), token["id"].get<int32_t>(),
                     flag(token, "special", false), flag(token, "normalized", false)};
    const auto index = static_cast<size_t>(added.id);
    if (index >= names.size()) names.resize(index + 1);
    if (!names[index].empty() && names[index] != added.text)
      refuse(file, fmt::format("added token '{}' has the id {} of '{}'", added.text, added.id,
                               names[index]));
    names[index] = added.text;
    tokens.push_back(std::move(added));
  }
  return tokens;
}

OrderedJson vocab_json(const std::vector<std::string>& names) {
  OrderedJson vocab = OrderedJson::object();
  auto& entries = vocab.get_ref<OrderedJson::object_t&>();  // its [] would look for the name first
  for (size_t id = 0; id < names.size(); ++id)
    if (!names[id].empty()) entries.emplace_back(names[id], id);
  return vocab;
}

std::string tokenizer_json(const TokenizerParts& parts) {
  OrderedJson added = OrderedJson::array();
  for (const AddedToken& token : parts.added) added.push_back(added_token(token));
  const OrderedJson json = {{"version", "1.0"},
                            {"truncation", nullptr},
                            {"padding", nullptr},
                            {"added_tokens", added},
                            {"normalizer", parts.normalizer},
                            {"pre_tokenizer", parts.pre_tokenizer},
                            {"post_processor", parts.post_processor},
                            {"decoder", parts.decoder},
                            {"model", parts.model}};
  return json.dump(2) + "\n";
}

}  // namespace triga
