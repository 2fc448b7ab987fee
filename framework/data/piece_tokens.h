// PieceTokens: the pieces of one text that were seen before, with their tokens. Most words of a text
// are repeated, so a tokenizer encodes each of them once.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace triga {

class PieceTokens {
 public:
  using Encode = std::function<void(std::string_view piece, std::vector<int32_t>& tokens)>;

  /// `encode` adds the tokens of a piece.
  explicit PieceTokens(Encode encode) : encode_(std::move(encode)) {}

  /// Adds the tokens of a piece, which must live as long as this.
  void encode(std::string_view piece, std::vector<int32_t>& tokens) {
    const auto [found, is_new] = places_.try_emplace(piece);
    if (is_new) {
      found->second.begin = tokens_.size();
      encode_(piece, tokens_);
      found->second.end = tokens_.size();
    }
    tokens.insert(tokens.end(), tokens_.begin() + static_cast<ptrdiff_t>(found->second.begin),
                  tokens_.begin() + static_cast<ptrdiff_t>(found->second.end));
  }

 private:
  struct Place {
    size_t begin = 0, end = 0;
  };
  Encode encode_;
  std::unordered_map<std::string_view, Place> places_;
  std::vector<int32_t> tokens_;
};

}  // namespace triga
