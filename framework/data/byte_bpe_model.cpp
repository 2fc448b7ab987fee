#include "data/byte_bpe_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "triga/error.h"

namespace triga {
namespace {

using Json = nlohmann::json;  // an ordered one would take quadratic time to read a vocabulary
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMostTokens =
    1 << 22;  // far above any vocabulary: a wrong id must not cost memory

[[noreturn]] void refuse(const std::string& place, const std::string& why) {
  throw ConfigError(place + ": " + why);
}

Json parse(std::string_view text, const std::string& place) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse(place, "not a JSON object");
  return json;
}

/// Refuses a setting with a value other than those that mean "not used", or `supported`.
void expect(const Json& object, const char* key, const Json& supported, const std::string& place,
            const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == supported || *found == Json(""))
    return;
  refuse(place, fmt::format("{}.{}: {}; byte_bpe reads only {}", path, key, found->dump(),
                            supported.dump()));
}

bool flag(const Json& object, const char* key, bool default_value) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : default_value;
}

void read_vocab(const Json& vocab, ByteBpeModel& model, const std::string& place) {
  if (!vocab.is_object() || vocab.empty()) refuse(place, "vocab: not an object of token: id");
  for (const auto& [name, id] : vocab.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= kMostTokens)
      refuse(place, fmt::format("vocab: the id of '{}' is {}", name, id.dump()));
    const auto index = id.get<size_t>();
    if (index >= model.names.size()) model.names.resize(index + 1);
    if (!model.names[index].empty())
      refuse(place, fmt::format("vocab: '{}' and '{}' have the same id {}", model.names[index],
                                name, index));
    model.names[index] = name;
  }
}

/// "left right" in one text; a name holds no space.
std::pair<std::string, std::string> merge_of(std::string_view line, const std::string& place) {
  const size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos)
    refuse(place, fmt::format("merge '{}': expected two tokens with a space between", line));
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

void read_merges(const Json& merges, ByteBpeModel& model, const std::string& place) {
  if (!merges.is_array()) refuse(place, "model.merges: not a list");
  for (const Json& merge : merges) {
    if (merge.is_string()) {
      model.merges.push_back(merge_of(merge.get<std::string>(), place));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      model.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      refuse(place, "merge " + merge.dump() + ": expected two tokens");
    }
  }
}

void read_added_tokens(const Json& json, ByteBpeModel& model, const std::string& place) {
  const auto found = json.find("added_tokens");
  if (found == json.end() || !found->is_array()) return;
  for (const Json& token : *found) {
    if (!token.is_object() || !token.contains("content") || !token["content"].is_string() ||
        token["content"] == "" || !token.contains("id") || !token["id"].is_number_integer() ||
        token["id"].get<int64_t>() < 0 || token["id"].get<int64_t>() >= kMostTokens)
      refuse(place, "added token " + token.dump() + ": expected content and id");
    const std::string path = "added token " + token["content"].get<std::string>();
    for (const char* key : {"single_word", "lstrip", "rstrip"})
      expect(token, key, false, place, path);
    ByteBpeModel::AddedToken added{token["content"].get<std::string>(), token["id"].get<int32_t>(),
                                   flag(token, "special", false)};
    const auto index = static_cast<size_t>(added.id);
    if (index >= model.names.size()) model.names.resize(index + 1);
    if (!model.names[index].empty() && model.names[index] != added.text)
      refuse(place, fmt::format("added token '{}' has the id {} of '{}'", added.text, added.id,
                                model.names[index]));
    model.names[index] = added.text;
    model.added.push_back(std::move(added));
  }
}

void read_pre_tokenizer(const Json& json, ByteBpeModel& model, const std::string& place) {
  const auto found = json.find("pre_tokenizer");
  const std::string type = found != json.end() && found->is_object()
                               ? found->value("type", std::string("none"))
                               : "none";
  if (type != "ByteLevel")
    refuse(place, fmt::format("pre_tokenizer is {}; byte_bpe reads only ByteLevel", type));
  model.adds_prefix_space = flag(*found, "add_prefix_space", true);
  model.cuts_pieces = flag(*found, "use_regex", true);
}

/// One that adds tokens around a text would change what a model reads.
void check_post_processor(const Json& json, const std::string& place) {
  const auto found = json.find("post_processor");
  if (found == json.end() || found->is_null()) return;
  const std::string type =
      found->is_object() ? found->value("type", std::string("none")) : found->dump();
  if (type != "ByteLevel")
    refuse(place, fmt::format("post_processor is {}; byte_bpe reads only ByteLevel or none", type));
}

OrderedJson added_token(const ByteBpeModel::AddedToken& token) {
  return {
      {"id", token.id},  {"content", token.text}, {"single_word", false},       {"lstrip", false},
      {"rstrip", false}, {"normalized", false},   {"special", token.is_special}};
}

}  // namespace

ByteBpeModel parse_tokenizer_json(std::string_view text, const std::string& place) {
  const Json json = parse(text, place);
  const auto model_json = json.find("model");
  if (model_json == json.end() || !model_json->is_object() || !model_json->contains("vocab"))
    refuse(place, "not a tokenizer.json: it has no model.vocab");
  // Files of old versions leave the type out.
  expect(*model_json, "type", "BPE", place, "model");
  expect(*model_json, "dropout", 0.0, place, "model");
  expect(*model_json, "byte_fallback", false, place, "model");
  expect(*model_json, "continuing_subword_prefix", "", place, "model");
  expect(*model_json, "end_of_word_suffix", "", place, "model");
  expect(json, "normalizer", nullptr, place, "tokenizer");
  ByteBpeModel model;
  model.ignores_merges = flag(*model_json, "ignore_merges", false);
  read_pre_tokenizer(json, model, place);
  check_post_processor(json, place);
  read_vocab((*model_json)["vocab"], model, place);
  read_merges(model_json->value("merges", Json::array()), model, place);
  read_added_tokens(json, model, place);
  return model;
}

ByteBpeModel parse_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                                    const std::string& end_of_text, const std::string& place) {
  ByteBpeModel model;
  read_vocab(parse(vocab_json, place + "/vocab.json"), model, place + "/vocab.json");
  for (size_t begin = 0; begin < merges_txt.size();) {
    const size_t end = std::min(merges_txt.find('\n', begin), merges_txt.size());
    std::string_view line = merges_txt.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    if (line.empty() || line.starts_with("#version")) continue;
    model.merges.push_back(merge_of(line, place + "/merges.txt"));
  }
  for (size_t id = 0; id < model.names.size(); ++id)
    if (model.names[id] == end_of_text && !end_of_text.empty())
      model.added.push_back({end_of_text, static_cast<int32_t>(id), true});
  return model;
}

std::string to_tokenizer_json(const ByteBpeModel& model) {
  const OrderedJson byte_level = {{"type", "ByteLevel"},
                                  {"add_prefix_space", model.adds_prefix_space},
                                  {"trim_offsets", true},
                                  {"use_regex", model.cuts_pieces}};
  OrderedJson vocab = OrderedJson::object(), merges = OrderedJson::array(),
              added = OrderedJson::array();
  auto& entries = vocab.get_ref<OrderedJson::object_t&>();  // its [] would look for the name first
  for (size_t id = 0; id < model.names.size(); ++id)
    if (!model.names[id].empty()) entries.emplace_back(model.names[id], id);
  for (const auto& [left, right] : model.merges) merges.push_back(left + " " + right);
  for (const ByteBpeModel::AddedToken& token : model.added) added.push_back(added_token(token));
  const OrderedJson json = {{"version", "1.0"},
                            {"truncation", nullptr},
                            {"padding", nullptr},
                            {"added_tokens", added},
                            {"normalizer", nullptr},
                            {"pre_tokenizer", byte_level},
                            {"post_processor", nullptr},
                            {"decoder", byte_level},
                            {"model",
                             {{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", nullptr},
                              {"end_of_word_suffix", nullptr},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"ignore_merges", model.ignores_merges},
                              {"vocab", vocab},
                              {"merges", merges}}}};
  return json.dump(2) + "\n";
}

}  // namespace triga
