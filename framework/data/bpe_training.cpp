#include "data/bpe_training.h"

#include <algorithm>

#include "data/byte_level.h"
#include "data/pair_merging.h"
#include "triga/error.h"

namespace triga {
namespace {

/// The tokens so far. Two different pairs can give the same one.
class Vocabulary {
 public:
  /// Special tokens, then the bytes in the order of their names, which puts readable ones first.
  explicit Vocabulary(size_t num_special) {
    learned_.tokens.resize(num_special);
    std::vector<int> bytes(256);
    for (int byte = 0; byte < 256; ++byte) bytes[static_cast<size_t>(byte)] = byte;
    std::sort(bytes.begin(), bytes.end(), [](int left, int right) {
      return byte_names()[static_cast<size_t>(left)] < byte_names()[static_cast<size_t>(right)];
    });
    for (const int byte : bytes) of_byte_[byte] = add(std::string(1, static_cast<char>(byte)));
  }

  std::vector<int32_t> tokens_of(std::string_view piece) const {
    std::vector<int32_t> tokens;
    for (const char byte : piece) tokens.push_back(of_byte_[static_cast<unsigned char>(byte)]);
    return tokens;
  }

  int32_t join(const PairMerging::Pair& pair) {
    learned_.merges.push_back(pair);
    return add(learned_.tokens[static_cast<size_t>(pair.first)] +
               learned_.tokens[static_cast<size_t>(pair.second)]);
  }

  int64_t size() const { return static_cast<int64_t>(learned_.tokens.size()); }
  BytePairTraining::Learned take() { return std::move(learned_); }

 private:
  int32_t add(const std::string& bytes) {
    const auto [found, is_new] = ids_.emplace(bytes, static_cast<int32_t>(size()));
    if (is_new) learned_.tokens.push_back(bytes);
    return found->second;
  }

  BytePairTraining::Learned learned_;
  int32_t of_byte_[256];
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace

void BytePairTraining::add(std::string_view text) {
  pieces_.add([&](const auto& visit) { for_each_piece(text, visit); });
}

BytePairTraining::Learned BytePairTraining::train(const Options& options) const {
  TRIGA_CHECK(options.vocab_size >= static_cast<int64_t>(options.special_tokens.size()) + 256,
              "a vocabulary of ", options.vocab_size);
  Vocabulary vocabulary(options.special_tokens.size());
  grow_by_merges(vocabulary, pieces_.counts(), options.vocab_size, options.least_count,
                 options.progress);
  return vocabulary.take();
}

}  // namespace triga
