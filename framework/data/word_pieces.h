// WordPieces: a vocabulary of pieces of words, and how a word is cut into them (Schuster and Nakajima
// 2012, as in BERT): the longest piece that the word begins with, then the longest that goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace triga {

class WordPieces {
 public:
  struct Options {
    std::string continuing_prefix = "##";    // of pieces that do not begin a word
    std::string unk_token = "[UNK]";         // a word that cannot be cut into pieces
    int64_t max_input_chars_per_word = 100;  // a longer one is not tried
  };

  /// `names`: [id] piece; "": none. Of equal ones the last counts. Throws: ConfigError when the
  /// unknown token is none of them.
  WordPieces(std::vector<std::string> names, const Options& options);
  WordPieces(const WordPieces&) = delete;
  WordPieces& operator=(const WordPieces&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  std::optional<int32_t> find(std::string_view name) const;

  /// Adds the tokens of a word. Requires: UTF-8. Thread-safe.
  void encode(std::string_view word, std::vector<int32_t>& tokens) const;

 private:
  using Ids = std::unordered_map<std::string_view, int32_t>;

  const std::vector<std::string> names_;
  const int64_t max_input_chars_per_word_;
  Ids ids_;             // of all pieces
  Ids continuing_;      // of those that go on, without the prefix
  size_t longest_ = 0;  // bytes
  int32_t unk_token_ = 0;
};

}  // namespace triga
