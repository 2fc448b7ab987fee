// Added tokens: texts that a tokenizer takes out of a text before anything else cuts it, such as
// `<|endoftext|>` or `[MASK]`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triga {

struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool is_special = true;
  bool is_normalized = false;  // found after the tokenizer's normalizer, not before it
};

/// Finds them. Thread-safe.
class AddedTokens {
 public:
  /// Requires: no text is empty.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// Cuts a text at the tokens in it: the leftmost first, of those that begin at the same byte the
  /// longest. Visits the parts between them, none of them empty, and the tokens, in order.
  void split(std::string_view text, const std::function<void(std::string_view)>& visit_part,
             const std::function<void(const AddedToken&)>& visit_token) const;

  const std::vector<AddedToken>& all() const { return tokens_; }
  /// Null: there is none of that text.
  const AddedToken* find(std::string_view text) const;
  /// The id of the token that ends a document; "": there is none. Throws: ConfigError that lists the
  /// tokens when none has that text.
  std::optional<int32_t> end_of_text(const std::string& text) const;

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::string first_bytes_;  // that one of them begins with
};

}  // namespace triga
