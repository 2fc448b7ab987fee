#include "data/pair_merging.h"

#include <algorithm>

namespace triga {

void PairMerging::add_word(std::vector<int32_t> tokens, int64_t count) {
  const auto index = static_cast<uint32_t>(words_.size());
  for (size_t i = 1; i < tokens.size(); ++i) change({tokens[i - 1], tokens[i]}, count, index);
  words_.push_back({std::move(tokens), count});
}

void PairMerging::run(int64_t least_count, const std::function<int32_t(const Pair&)>& join,
                      const std::function<bool()>& is_enough) {
  ranked_ = {};
  for (const auto& [pair, found] : pairs_) ranked_.push({found.count, pair});
  while (!ranked_.empty() && !is_enough()) {
    const Ranked best = ranked_.top();
    ranked_.pop();
    const int64_t count = pairs_[best.pair].count;
    if (count != best.count) {  // merges since then took some of them
      if (count >= least_count) ranked_.push({count, best.pair});
      continue;
    }
    if (count < least_count) break;
    merge(best.pair, join(best.pair));
  }
}

void PairMerging::change(const Pair& pair, int64_t by, uint32_t word) {
  PairCount& found = pairs_[pair];
  found.count += by;
  if (by > 0 && (found.words.empty() || found.words.back() != word)) found.words.push_back(word);
}

void PairMerging::merge(const Pair& pair, int32_t token) {
  const std::vector<uint32_t> words = std::move(pairs_[pair].words);
  pairs_.erase(pair);
  grown_.clear();
  for (const uint32_t index : words) merge_in_word(index, pair, token);
  std::sort(grown_.begin(), grown_.end());
  grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
  for (const Pair& each : grown_)
    if (const auto found = pairs_.find(each); found != pairs_.end() && found->second.count > 0)
      ranked_.push({found->second.count, each});
}

void PairMerging::merge_in_word(uint32_t index, const Pair& pair, int32_t token) {
  std::vector<int32_t>& tokens = words_[index].tokens;
  size_t kept = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool is_pair =
        i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
    if (!is_pair) {
      tokens[kept++] = tokens[i];
      continue;
    }
    // The neighbours of the pair are now beside the new token.
    if (kept > 0) replace({tokens[kept - 1], pair.first}, {tokens[kept - 1], token}, index);
    if (i + 2 < tokens.size()) replace({pair.second, tokens[i + 2]}, {token, tokens[i + 2]}, index);
    tokens[kept++] = token;
    ++i;
  }
  tokens.resize(kept);
}

void PairMerging::replace(const Pair& before, const Pair& after, uint32_t word) {
  const int64_t count = words_[word].count;
  if (const auto found = pairs_.find(before); found != pairs_.end())
    found->second.count -= count;  // the pair itself, where it overlaps, is gone already
  change(after, count, word);
  grown_.push_back(after);
}

}  // namespace triga
