// make_token_dataset (triga/dataset.h): documents -> tokens (cached_tokens.h) -> windows.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <utility>

#include "data/cached_tokens.h"
#include "data/fingerprint.h"
#include "triga/error.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

/// All documents one after the other, in windows that overlap by one token: the last of a window is
/// a label there and the first input of the next. The last window may be shorter.
class PackedTokens final : public TokenDataset {
 public:
  PackedTokens(CachedTokens tokens, int64_t num_tokens, int64_t sequence_length)
      : TokenDataset(std::move(tokens)),
        num_tokens_(num_tokens),
        sequence_length_(sequence_length) {}

  int64_t size() const override {
    return (num_tokens_ - 1 + sequence_length_ - 1) / sequence_length_;
  }

  Sample get(int64_t index) const override {
    const int64_t begin = index * sequence_length_;
    return {{"tokens", tokens_->slice(begin, begin + length(index) + 1)}};
  }

  /// Tokens that are predicted: one fewer than the sample holds.
  int64_t length(int64_t index) const override {
    return std::min(sequence_length_, num_tokens_ - 1 - index * sequence_length_);
  }

  bool is_continuous() const override { return true; }

  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("packed");
    fingerprint.add(sequence_length_);
    fingerprint.add(tokens_->fingerprint());
    return fingerprint.text();
  }

 private:
  int64_t num_tokens_;  // without the end of text after the last document
  int64_t sequence_length_;
};

/// One document a sample.
class DocumentTokens final : public TokenDataset {
 public:
  DocumentTokens(CachedTokens tokens, int64_t sequence_length)
      : TokenDataset(std::move(tokens)), longest_(sequence_length + 1) {
    const std::vector<int64_t>& ends = tokens_->ends();
    for (size_t i = 0; i < ends.size(); ++i)
      if (ends[i] - begin_of(i) >= 2) documents_.push_back(i);
  }

  int64_t size() const override { return static_cast<int64_t>(documents_.size()); }
  Sample get(int64_t index) const override {
    const int64_t begin = begin_of(documents_[static_cast<size_t>(index)]);
    return {{"tokens", tokens_->slice(begin, begin + length(index) + 1)}};
  }
  int64_t length(int64_t index) const override {
    const size_t document = documents_[static_cast<size_t>(index)];
    return std::min(tokens_->ends()[document] - begin_of(document), longest_) - 1;
  }

  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("documents");
    fingerprint.add(longest_);
    fingerprint.add(tokens_->fingerprint());
    return fingerprint.text();
  }

 private:
  int64_t longest_;                // tokens of a sample
  std::vector<size_t> documents_;  // those with two tokens or more
};

std::unique_ptr<Dataset> make_dataset(CachedTokens tokens, bool pack,
                                      const DatasetContext& context) {
  if (!pack) return std::make_unique<DocumentTokens>(std::move(tokens), context.sequence_length);
  const bool has_end = context.tokenizer->end_of_text() && tokens.file->num_tokens() > 0;
  const int64_t num_tokens = tokens.file->num_tokens() - (has_end ? 1 : 0);
  if (num_tokens < 2) return nullptr;
  return std::make_unique<PackedTokens>(std::move(tokens), num_tokens, context.sequence_length);
}

}  // namespace

void check_reads_tokens(const DatasetContext& context) {
  if (context.tokenizer == nullptr)
    throw ConfigError(
        "this dataset is read as tokens, and the experiment names no tokenizer; add "
        "data.tokenizer, for example {kind: bytes}");
  if (context.sequence_length <= 0)
    throw ConfigError(
        "this dataset is cut into sequences of tokens, and the model has no sequence length; "
        "choose a model that reads tokens, or another kind");
}

std::unique_ptr<Dataset> make_token_dataset(std::unique_ptr<DocumentSource> documents,
                                            const TokenDatasetOptions& options,
                                            const DatasetContext& context) {
  check_reads_tokens(context);
  auto dataset = make_dataset(cached_tokens(*documents, TokenDocuments::kOfText, context),
                              options.pack, context);
  if (!dataset || dataset->size() == 0)
    throw DataError(c10::str("none of ", documents->size(),
                             " documents gives two tokens or more: there is nothing to predict"));
  return dataset;
}

}  // namespace triga
