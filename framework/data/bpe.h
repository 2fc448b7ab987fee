// BytePairs: the vocabulary and the merges of byte-pair encoding (Sennrich et al. 2016), over bytes.
// A piece of text begins as its single bytes; of all neighbours that a merge joins, the earliest
// merge joins first, and of equal ones the leftmost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace triga {

class BytePairs {
 public:
  using Merges = std::vector<std::pair<int32_t, int32_t>>;  // tokens, the earliest merge first

  /// `tokens`: [id] bytes; an empty one is never given. Each of the 256 bytes must be a token, and
  /// so must each pair that is merged. Throws: ConfigError that names what is missing.
  BytePairs(std::vector<std::string> tokens, Merges merges);

  const std::vector<std::string>& tokens() const { return tokens_; }
  const Merges& merges() const { return merges_; }

  /// Adds the tokens of a piece. Thread-safe.
  void encode(std::string_view piece, std::vector<int32_t>& tokens) const;

 private:
  struct Merge {
    int32_t rank, token;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  void add_merge(int32_t rank, const std::unordered_map<std::string_view, int32_t>& ids);

  std::vector<std::string> tokens_;
  Merges merges_;
  int32_t of_byte_[256];
  std::unordered_map<uint64_t, Merge> merge_of_;
};

}  // namespace triga
