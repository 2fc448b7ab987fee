#include "data/byte_bpe_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "data/byte_level.h"
#include "triga/error.h"

namespace triga {
namespace {

/// What each token is made of; added ones stand apart: no merge makes them.
std::vector<std::string> bytes_for_merges(const ByteBpeModel& model) {
  std::vector<std::string> bytes;
  for (const std::string& name : model.names) bytes.push_back(bytes_of_name(name).value_or(""));
  for (const AddedToken& added : model.added)
    if (bytes_of_name(added.text) && added.text.size() > 1)
      bytes[static_cast<size_t>(added.id)].clear();
  return bytes;
}

BytePairs make_pairs(const ByteBpeModel& model) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < model.names.size(); ++id)
    if (!model.names[id].empty()) ids[model.names[id]] = static_cast<int32_t>(id);
  const auto id_of = [&](const std::string& name) {
    const auto found = ids.find(name);
    if (found == ids.end())
      throw ConfigError(
          fmt::format("a merge joins '{}', which the vocabulary does not have", name));
    return found->second;
  };
  BytePairs::Merges merges;
  for (const auto& [left, right] : model.merges) merges.emplace_back(id_of(left), id_of(right));
  return {bytes_for_merges(model), std::move(merges)};
}

std::string tokenizer_config(const std::string& end_of_text) {
  nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
  if (!end_of_text.empty()) config["eos_token"] = end_of_text;
  config["clean_up_tokenization_spaces"] = false;
  return config.dump(2) + "\n";
}

}  // namespace

ByteBpeTokenizer::ByteBpeTokenizer(ByteBpeModel model, const std::string& end_of_text,
                                   std::map<std::string, std::string> files)
    : model_(std::move(model)),
      pairs_(make_pairs(model_)),
      added_(model_.added),
      end_of_text_(added_.end_of_text(end_of_text)),
      files_(std::move(files)) {
  for (const std::string& name : model_.names) bytes_.push_back(bytes_of_name(name).value_or(name));
  if (model_.ignores_merges)
    for (size_t id = 0; id < pairs_.tokens().size(); ++id)
      if (!pairs_.tokens()[id].empty())
        whole_.emplace(pairs_.tokens()[id], static_cast<int32_t>(id));
  if (files_.empty())
    files_ = {{"tokenizer.json", to_tokenizer_json(model_)},
              {"tokenizer_config.json", tokenizer_config(end_of_text)}};
}

void ByteBpeTokenizer::encode_part(std::string_view part, PieceTokens& known,
                                   std::vector<int32_t>& tokens) const {
  const auto encode_piece = [&](std::string_view piece) {
    if (const auto found = whole_.find(piece); found != whole_.end())
      tokens.push_back(found->second);
    else
      known.encode(piece, tokens);
  };
  if (model_.cuts_pieces)
    for_each_piece(part, encode_piece);
  else
    encode_piece(part);
}

std::vector<int32_t> ByteBpeTokenizer::encode(std::string_view text) const {
  std::string valid;
  if (find_invalid_utf8(text)) {
    valid = replace_invalid_utf8(text);
    text = valid;
  }
  std::vector<int32_t> tokens;
  PieceTokens known(
      [&](std::string_view piece, auto& of_piece) { pairs_.encode(piece, of_piece); });
  std::list<std::string> with_space;  // pieces are views: they stay until the end
  const auto encode_one = [&](std::string_view part) {
    if (model_.adds_prefix_space && part[0] != ' ')
      part = with_space.emplace_back(" " + std::string(part));
    encode_part(part, known, tokens);
  };
  added_.split(text, encode_one, [&](const AddedToken& token) { tokens.push_back(token.id); });
  return tokens;
}

std::string ByteBpeTokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string bytes;
  for (const int32_t token : tokens) {
    TRIGA_CHECK(0 <= token && token < vocab_size(), "token ", token, " of ", vocab_size());
    bytes += bytes_[static_cast<size_t>(token)];
  }
  return replace_invalid_utf8(bytes);
}

std::optional<int32_t> ByteBpeTokenizer::token_id(std::string_view token) const {
  const auto found = std::find(model_.names.begin(), model_.names.end(), token);
  if (found == model_.names.end() || token.empty()) return std::nullopt;
  return static_cast<int32_t>(found - model_.names.begin());
}

std::map<std::string, std::string> ByteBpeTokenizer::files() const {
  return files_;
}

ByteBpeModel learned_model(const BytePairs::Merges& merges, const std::vector<std::string>& tokens,
                           const std::string& end_of_text) {
  ByteBpeModel model;
  for (const std::string& bytes : tokens) model.names.push_back(name_of_bytes(bytes));
  if (!end_of_text.empty()) {
    model.names[0] = end_of_text;
    model.added.push_back({end_of_text, 0, true});
  }
  for (const auto& [left, right] : merges)
    model.merges.emplace_back(model.names[static_cast<size_t>(left)],
                              model.names[static_cast<size_t>(right)]);
  return model;
}

}  // namespace triga
