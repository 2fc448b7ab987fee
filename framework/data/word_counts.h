// WordCounts: how often each word of the texts so far occurs: what a vocabulary is learned from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace triga {

class WordCounts {
 public:
  /// Counts the words of one text; `for_each_word(visit)` visits them. They are views that live
  /// until it returns.
  template <class ForEachWord>
  void add(const ForEachWord& for_each_word) {
    std::unordered_map<std::string_view, int64_t> counts;  // of this text: no copy a word
    for_each_word([&](std::string_view word) { ++counts[word]; });
    for (const auto& [word, count] : counts) counts_[std::string(word)] += count;
  }

  const std::unordered_map<std::string, int64_t>& counts() const { return counts_; }

 private:
  std::unordered_map<std::string, int64_t> counts_;
};

}  // namespace triga
