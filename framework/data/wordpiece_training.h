// WordPieceTraining: learns a vocabulary of pieces of words from text: a PairMerging of words that
// begin as characters, all but the first with a prefix.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/bert_text.h"
#include "data/word_counts.h"

namespace triga {

class WordPieceTraining {
 public:
  explicit WordPieceTraining(const BertText& reading) : reading_(reading) {}

  /// Counts the words of a text. Requires: UTF-8.
  void add(std::string_view text);

  struct Options {
    std::vector<std::string> special_tokens = {};  // get the first ids
    int64_t vocab_size = 0;                        // of all
    int64_t limit_alphabet = 1000;                 // characters; rarer ones are no pieces
    int64_t least_count = 2;                       // a pair seen less often is not merged
    std::string continuing_prefix = "##";
    std::function<void(int64_t num_tokens)> progress = [](int64_t) {};
  };

  /// [id] name: the special tokens, the characters, those that go on in a word, then the pieces of
  /// the most frequent pairs; of equally frequent ones that of the lowest ids first. Fewer than asked
  /// for when the text has no more pairs. Throws: ConfigError when there is no room for the
  /// characters.
  std::vector<std::string> train(const Options& options) const;

 private:
  BertText reading_;
  WordCounts words_;
};

}  // namespace triga
