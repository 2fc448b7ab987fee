// PairMerging: what learning a vocabulary by merges is, whatever its tokens are made of (Sennrich et
// al. 2016): the most frequent pair of neighbours becomes a token, again and again. Each merge
// touches only the words that hold its pair, so the time does not grow with the text but with the
// number of different words.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace triga {

class PairMerging {
 public:
  using Pair = std::pair<int32_t, int32_t>;  // tokens

  /// A word as its first tokens, which occurs `count` times. Requires: count > 0.
  void add_word(std::vector<int32_t> tokens, int64_t count);

  /// Merges the pair that occurs most often, of equally frequent ones that of the lowest tokens, as
  /// long as it is not `is_enough` and a pair occurs `least_count` times. `join` gives the token that
  /// a pair becomes, which another pair may give as well.
  void run(int64_t least_count, const std::function<int32_t(const Pair&)>& join,
           const std::function<bool()>& is_enough);

 private:
  struct Word {
    std::vector<int32_t> tokens;
    int64_t count = 0;
  };
  struct PairCount {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that hold it, or once did
  };
  struct PairHash {
    size_t operator()(const Pair& pair) const {
      const auto both =
          static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
      return static_cast<size_t>((both * 0x9E3779B97F4A7C15ull) >> 16);
    }
  };
  /// The queue gives the largest count first, then the lowest tokens. A count may be out of date.
  struct Ranked {
    int64_t count;
    Pair pair;
    bool operator<(const Ranked& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(const Pair& pair, int64_t by, uint32_t word);
  void merge(const Pair& pair, int32_t token);
  void merge_in_word(uint32_t index, const Pair& pair, int32_t token);
  void replace(const Pair& before, const Pair& after, uint32_t word);

  std::vector<Word> words_;
  std::unordered_map<Pair, PairCount, PairHash> pairs_;
  std::priority_queue<Ranked> ranked_;
  std::vector<Pair> grown_;  // pairs that the current merge made
};

/// Lets a vocabulary grow to `vocab_size` tokens by merges of the pairs in `words`, by count of
/// their occurrences. It has tokens_of(word), join(pair) and size().
template <class Vocabulary, class Counts, class Progress>
void grow_by_merges(Vocabulary& vocabulary, const Counts& words, int64_t vocab_size,
                    int64_t least_count, const Progress& progress) {
  PairMerging merging;
  for (const auto& [word, count] : words) merging.add_word(vocabulary.tokens_of(word), count);
  const auto join = [&](const PairMerging::Pair& pair) {
    const int32_t token = vocabulary.join(pair);
    progress(vocabulary.size());
    return token;
  };
  merging.run(least_count, join, [&] { return vocabulary.size() >= vocab_size; });
}

}  // namespace triga
