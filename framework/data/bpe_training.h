// BytePairTraining: learns byte-pair merges from text: a PairMerging of pieces that begin as bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe.h"
#include "data/word_counts.h"

namespace triga {

class BytePairTraining {
 public:
  /// Counts the pieces (see byte_level.h) of a text. Requires: UTF-8.
  void add(std::string_view text);

  struct Options {
    std::vector<std::string> special_tokens;  // get the first ids; never made of bytes
    int64_t vocab_size = 0;                   // with the special tokens and the 256 bytes
    int64_t least_count = 2;                  // a pair seen less often is not merged
    std::function<void(int64_t num_tokens)> progress = [](int64_t) {};
  };

  struct Learned {
    std::vector<std::string> tokens;  // [id] bytes; a special token is empty here
    BytePairs::Merges merges;
  };

  /// The merges of the most frequent pairs, one after the other; of equally frequent ones that of
  /// the lowest ids. Fewer tokens than asked for when the text has no more pairs. Requires: room for
  /// the bytes and the special tokens.
  Learned train(const Options& options) const;

 private:
  WordCounts pieces_;
};

}  // namespace triga
