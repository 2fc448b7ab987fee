#include "data/byte_bpe_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/tokenizer_json.h"

namespace triga {
namespace {

TokenizerFile file_of(const std::string& place) {
  return {place, "byte_bpe"};
}

/// "left right" in one text; a name holds no space.
std::pair<std::string, std::string> merge_of(std::string_view line, const TokenizerFile& file) {
  const size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos)
    refuse(file, fmt::format("merge '{}': expected two tokens with a space between", line));
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

void read_merges(const Json& merges, ByteBpeModel& model, const TokenizerFile& file) {
  if (!merges.is_array()) refuse(file, "model.merges: not a list");
  for (const Json& merge : merges) {
    if (merge.is_string()) {
      model.merges.push_back(merge_of(merge.get<std::string>(), file));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      model.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      refuse(file, "merge " + merge.dump() + ": expected two tokens");
    }
  }
}

void read_pre_tokenizer(const Json& json, ByteBpeModel& model, const TokenizerFile& file) {
  const std::string type = type_of(json, "pre_tokenizer");
  if (type != "ByteLevel")
    refuse(file, fmt::format("pre_tokenizer is {}; byte_bpe reads only ByteLevel", type));
  model.adds_prefix_space = flag(json["pre_tokenizer"], "add_prefix_space", true);
  model.cuts_pieces = flag(json["pre_tokenizer"], "use_regex", true);
}

/// One that adds tokens around a text would change what a model reads.
void check_post_processor(const Json& json, const TokenizerFile& file) {
  const std::string type = type_of(json, "post_processor");
  if (type != "ByteLevel" && type != "none")
    refuse(file, fmt::format("post_processor is {}; byte_bpe reads only ByteLevel or none", type));
}

}  // namespace

ByteBpeModel parse_tokenizer_json(std::string_view text, const std::string& place) {
  const TokenizerFile file = file_of(place);
  const Json json = parse_json(text, file);
  const Json& model_json = model_of(json, "BPE", file);
  expect(model_json, "dropout", 0.0, "model", file);
  expect(model_json, "byte_fallback", false, "model", file);
  expect(model_json, "continuing_subword_prefix", "", "model", file);
  expect(model_json, "end_of_word_suffix", "", "model", file);
  expect(json, "normalizer", nullptr, "tokenizer", file);
  ByteBpeModel model;
  model.ignores_merges = flag(model_json, "ignore_merges", false);
  read_pre_tokenizer(json, model, file);
  check_post_processor(json, file);
  model.names = read_vocab(model_json["vocab"], file);
  read_merges(model_json.value("merges", Json::array()), model, file);
  model.added = read_added_tokens(json, model.names, file);
  return model;
}

ByteBpeModel parse_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                                    const std::string& end_of_text, const std::string& place) {
  ByteBpeModel model;
  const TokenizerFile vocab = file_of(place + "/vocab.json");
  model.names = read_vocab(parse_json(vocab_json, vocab), vocab);
  for (size_t begin = 0; begin < merges_txt.size();) {
    const size_t end = std::min(merges_txt.find('\n', begin), merges_txt.size());
    std::string_view line = merges_txt.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    if (line.empty() || line.starts_with("#version")) continue;
    model.merges.push_back(merge_of(line, file_of(place + "/merges.txt")));
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
  OrderedJson merges = OrderedJson::array();
  for (const auto& [left, right] : model.merges) merges.push_back(left + " " + right);
  const OrderedJson model_json = {{"type", "BPE"},
                                  {"dropout", nullptr},
                                  {"unk_token", nullptr},
                                  {"continuing_subword_prefix", nullptr},
                                  {"end_of_word_suffix", nullptr},
                                  {"fuse_unk", false},
                                  {"byte_fallback", false},
                                  {"ignore_merges", model.ignores_merges},
                                  {"vocab", vocab_json(model.names)},
                                  {"merges", merges}};
  return tokenizer_json({.added = model.added,
                         .normalizer = {},
                         .pre_tokenizer = byte_level,
                         .post_processor = {},
                         .decoder = byte_level,
                         .model = model_json});
}

}  // namespace triga
