#include "data/wordpiece_training.h"

#include <fmt/format.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/pair_merging.h"
#include "triga/error.h"

namespace triga {
namespace {

using Counts = std::unordered_map<std::string, int64_t>;

/// Visits the characters of a word as UTF-8, which has the order of the code points.
template <class Visit>
void for_each_character(std::string_view word, const Visit& visit) {
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    U8_FWD_1(word.data(), at, word.size());
    visit(word.substr(begin, at - begin), /*is_first=*/begin == 0);
  }
}

/// The most frequent characters; of equally frequent ones the first.
std::set<std::string> alphabet_of(const Counts& words, int64_t limit) {
  std::map<std::string, int64_t, std::less<>> counts;
  for (const auto& [word, count] : words)
    for_each_character(word, [&counts, by = count](std::string_view character, bool) {
      const auto found = counts.find(character);
      if (found == counts.end())
        counts.emplace(character, by);
      else
        found->second += by;
    });
  std::vector<std::pair<int64_t, std::string>> ranked;
  for (const auto& [character, count] : counts) ranked.emplace_back(-count, character);
  std::sort(ranked.begin(), ranked.end());
  std::set<std::string> alphabet;
  for (size_t i = 0; i < ranked.size() && i < static_cast<size_t>(limit); ++i)
    alphabet.insert(ranked[i].second);
  return alphabet;
}

/// The tokens so far. Two different pairs can give the same one.
class Vocabulary {
 public:
  explicit Vocabulary(std::string prefix) : prefix_(std::move(prefix)) {}

  int32_t add(const std::string& name) {
    const auto [found, is_new] = ids_.emplace(name, static_cast<int32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return found->second;
  }

  /// Each character of the alphabet, then, as it goes on, each that does so in a word.
  void add_alphabet(const std::set<std::string>& alphabet, const Counts& words) {
    for (const std::string& character : alphabet) add(character);
    std::set<std::string> continuing;
    for (const auto& [word, count] : words)
      for_each_character(word, [&](std::string_view character, bool is_first) {
        if (!is_first) continuing.emplace(character);
      });
    for (const std::string& character : continuing)
      if (ids_.contains(character)) add(prefix_ + character);
  }

  /// A character that is no token is left out, and its neighbours stand together.
  std::vector<int32_t> tokens_of(std::string_view word) const {
    std::vector<int32_t> tokens;
    for_each_character(word, [&](std::string_view character, bool is_first) {
      const auto found = ids_.find(std::string(character));
      if (found == ids_.end()) return;
      tokens.push_back(is_first ? found->second : ids_.at(prefix_ + std::string(character)));
    });
    return tokens;
  }

  int32_t join(const PairMerging::Pair& pair) {
    std::string_view rest = names_[static_cast<size_t>(pair.second)];
    if (rest.starts_with(prefix_)) rest.remove_prefix(prefix_.size());
    return add(names_[static_cast<size_t>(pair.first)] + std::string(rest));
  }

  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::string prefix_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace

void WordPieceTraining::add(std::string_view text) {
  const std::string normalized = reading_.normalize(text);
  words_.add([&](const auto& visit) { for_each_bert_word(normalized, visit); });
}

std::vector<std::string> WordPieceTraining::train(const Options& options) const {
  const std::set<std::string> alphabet = alphabet_of(words_.counts(), options.limit_alphabet);
  Vocabulary vocabulary(options.continuing_prefix);
  for (const std::string& token : options.special_tokens) vocabulary.add(token);
  vocabulary.add_alphabet(alphabet, words_.counts());
  if (vocabulary.size() > options.vocab_size)
    throw ConfigError(fmt::format(
        "vocab_size: {} tokens have no room for the {} special tokens and the {} characters of the "
        "training data, which are {} pieces; give at least {}, or a smaller limit_alphabet",
        options.vocab_size, options.special_tokens.size(), alphabet.size(),
        vocabulary.size() - static_cast<int64_t>(options.special_tokens.size()),
        vocabulary.size()));
  grow_by_merges(vocabulary, words_.counts(), options.vocab_size, options.least_count,
                 options.progress);
  return vocabulary.take();
}

}  // namespace triga
