#include "data/word_pieces.h"

#include <algorithm>

#include "triga/error.h"

namespace triga {
namespace {

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

}  // namespace

WordPieces::WordPieces(std::vector<std::string> names, const Options& options)
    : names_(std::move(names)), max_input_chars_per_word_(options.max_input_chars_per_word) {
  for (size_t id = 0; id < names_.size(); ++id) {
    const std::string_view name = names_[id];
    if (name.empty()) continue;
    ids_[name] = static_cast<int32_t>(id);
    if (name.starts_with(options.continuing_prefix))
      continuing_[name.substr(options.continuing_prefix.size())] = static_cast<int32_t>(id);
    longest_ = std::max(longest_, name.size());
  }
  const std::optional<int32_t> unknown = find(options.unk_token);
  if (!unknown) throw ConfigError("unk_token: the vocabulary has no '" + options.unk_token + "'");
  unk_token_ = *unknown;
}

std::optional<int32_t> WordPieces::find(std::string_view name) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void WordPieces::encode(std::string_view word, std::vector<int32_t>& tokens) const {
  const size_t first = tokens.size();
  const auto give_up = [&] {
    tokens.resize(first);
    tokens.push_back(unk_token_);
  };
  if (std::count_if(word.begin(), word.end(), begins_character) > max_input_chars_per_word_)
    return give_up();
  for (size_t begin = 0; begin < word.size();) {
    const Ids& ids = begin == 0 ? ids_ : continuing_;
    size_t length = std::min(word.size() - begin, longest_);
    for (; length > 0; --length) {
      const size_t end = begin + length;
      if (end < word.size() && !begins_character(word[end])) continue;
      const auto found = ids.find(word.substr(begin, length));
      if (found == ids.end()) continue;
      tokens.push_back(found->second);
      break;
    }
    if (length == 0) return give_up();
    begin += length;
  }
}

}  // namespace triga
