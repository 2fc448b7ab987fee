#include "data/bpe_training.h"

#include <algorithm>
#include <queue>

#include "data/byte_level.h"
#include "triga/error.h"

namespace triga {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    const auto both = static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
    return static_cast<size_t>((both * 0x9E3779B97F4A7C15ull) >> 16);
  }
};

struct Word {
  std::vector<int32_t> tokens;
  int64_t count = 0;
};

struct PairCount {
  int64_t count = 0;
  std::vector<uint32_t> words;  // that hold it, or once did
};

/// The queue gives the largest count first, then the lowest ids. A count may be out of date.
struct Ranked {
  int64_t count;
  Pair pair;
  bool operator<(const Ranked& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Training {
 public:
  Training(const std::unordered_map<std::string, int64_t>& counts,
           const BytePairTraining::Options& options)
      : options_(options) {
    add_first_tokens();
    for (const auto& [piece, count] : counts) add_word(piece, count);
    for (const auto& [pair, found] : pairs_) ranked_.push({found.count, pair});
  }

  BytePairTraining::Learned run() {
    while (static_cast<int64_t>(learned_.tokens.size()) < options_.vocab_size && !ranked_.empty()) {
      const Ranked best = ranked_.top();
      ranked_.pop();
      const int64_t count = pairs_[best.pair].count;
      if (count != best.count) {  // merges since then took some of them
        if (count >= options_.least_count) ranked_.push({count, best.pair});
        continue;
      }
      if (count < options_.least_count) break;
      merge(best.pair);
      options_.progress(static_cast<int64_t>(learned_.tokens.size()));
    }
    return std::move(learned_);
  }

 private:
  void add_first_tokens() {
    learned_.tokens.resize(options_.special_tokens.size());
    std::vector<int> bytes(256);
    for (int byte = 0; byte < 256; ++byte) bytes[static_cast<size_t>(byte)] = byte;
    // In the order of their names, which puts readable ones first.
    std::sort(bytes.begin(), bytes.end(), [](int left, int right) {
      return byte_names()[static_cast<size_t>(left)] < byte_names()[static_cast<size_t>(right)];
    });
    for (const int byte : bytes) {
      of_byte_[byte] = static_cast<int32_t>(learned_.tokens.size());
      add_token(std::string(1, static_cast<char>(byte)));
    }
  }

  /// The id of a token; two different pairs can give the same one.
  int32_t add_token(const std::string& bytes) {
    const auto [found, is_new] = ids_.emplace(bytes, static_cast<int32_t>(learned_.tokens.size()));
    if (is_new) learned_.tokens.push_back(bytes);
    return found->second;
  }

  void add_word(const std::string& piece, int64_t count) {
    Word word;
    word.count = count;
    for (const char byte : piece) word.tokens.push_back(of_byte_[static_cast<unsigned char>(byte)]);
    const auto index = static_cast<uint32_t>(words_.size());
    for (size_t i = 1; i < word.tokens.size(); ++i)
      change({word.tokens[i - 1], word.tokens[i]}, count, index);
    words_.push_back(std::move(word));
  }

  void change(const Pair& pair, int64_t by, uint32_t word) {
    PairCount& found = pairs_[pair];
    found.count += by;
    if (by > 0 && (found.words.empty() || found.words.back() != word)) found.words.push_back(word);
  }

  void merge(const Pair& pair) {
    const std::string bytes = learned_.tokens[static_cast<size_t>(pair.first)] +
                              learned_.tokens[static_cast<size_t>(pair.second)];
    const int32_t token = add_token(bytes);
    learned_.merges.push_back(pair);
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

  void merge_in_word(uint32_t index, const Pair& pair, int32_t token) {
    std::vector<int32_t>& tokens = words_[index].tokens;
    const int64_t count = words_[index].count;
    size_t kept = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool is_pair =
          i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
      if (!is_pair) {
        tokens[kept++] = tokens[i];
        continue;
      }
      if (kept > 0) replace(tokens[kept - 1], pair.first, token, count, index, /*is_left=*/true);
      if (i + 2 < tokens.size())
        replace(tokens[i + 2], pair.second, token, count, index, /*is_left=*/false);
      tokens[kept++] = token;
      ++i;
    }
    tokens.resize(kept);
  }

  /// The neighbour on one side of a merged pair is now beside the new token.
  void replace(int32_t neighbour, int32_t old, int32_t token, int64_t count, uint32_t word,
               bool is_left) {
    const Pair before = is_left ? Pair(neighbour, old) : Pair(old, neighbour);
    const Pair after = is_left ? Pair(neighbour, token) : Pair(token, neighbour);
    if (const auto found = pairs_.find(before); found != pairs_.end())
      found->second.count -= count;  // the pair itself, where it overlaps, is gone already
    change(after, count, word);
    grown_.push_back(after);
  }

  const BytePairTraining::Options& options_;
  BytePairTraining::Learned learned_;
  int32_t of_byte_[256];
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, PairCount, PairHash> pairs_;
  std::priority_queue<Ranked> ranked_;
  std::vector<Pair> grown_;  // pairs that the current merge made
};

}  // namespace

void BytePairTraining::add(std::string_view text) {
  std::unordered_map<std::string_view, int64_t> counts;  // of this text: no copy a piece
  for_each_piece(text, [&](std::string_view piece) { ++counts[piece]; });
  for (const auto& [piece, count] : counts) counts_[std::string(piece)] += count;
}

BytePairTraining::Learned BytePairTraining::train(const Options& options) const {
  TRIGA_CHECK(options.vocab_size >= static_cast<int64_t>(options.special_tokens.size()) + 256,
              "a vocabulary of ", options.vocab_size);
  return Training(counts_, options).run();
}

}  // namespace triga
