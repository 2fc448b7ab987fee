// make_token_dataset (triga/dataset.h): documents -> tokens in memory -> windows. Tokens are kept
// in the smallest integer type that holds the vocabulary, one document after the other; a sample is
// a view of them that is widened to int64.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "data/fingerprint.h"
#include "triga/dataset.h"
#include "triga/error.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

/// A growing list of tokens of a vocabulary of known size.
class TokenStore {
 public:
  explicit TokenStore(int64_t vocab_size) {
    if (vocab_size <= 1 << 8) {
      tokens_ = std::vector<uint8_t>();
    } else if (vocab_size <= 1 << 16) {
      tokens_ = std::vector<uint16_t>();
    } else {
      tokens_ = std::vector<int32_t>();
    }
  }

  int64_t size() const {
    return std::visit([](const auto& tokens) { return static_cast<int64_t>(tokens.size()); },
                      tokens_);
  }

  void append(const int32_t* first, const int32_t* last) {
    std::visit([&](auto& tokens) { tokens.insert(tokens.end(), first, last); }, tokens_);
  }

  /// Tokens [begin, end) as int64.
  at::Tensor slice(int64_t begin, int64_t end) const {
    at::Tensor result = at::empty({end - begin}, at::kLong);
    std::visit(
        [&](const auto& tokens) {
          std::copy(tokens.begin() + begin, tokens.begin() + end,
                    result.mutable_data_ptr<int64_t>());
        },
        tokens_);
    return result;
  }

  void add_to(Fingerprint& fingerprint) const {
    std::visit(
        [&](const auto& tokens) {
          fingerprint.add(
              {reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(tokens[0])});
        },
        tokens_);
  }

 private:
  std::variant<std::vector<uint8_t>, std::vector<uint16_t>, std::vector<int32_t>> tokens_;
};

/// All documents one after the other, in windows that overlap by one token: the last of a window is
/// a label there and the first input of the next. The last window may be shorter.
class PackedTokens final : public Dataset {
 public:
  PackedTokens(TokenStore tokens, int64_t sequence_length)
      : tokens_(std::move(tokens)), sequence_length_(sequence_length) {}

  int64_t size() const override {
    return (tokens_.size() - 1 + sequence_length_ - 1) / sequence_length_;
  }

  Sample get(int64_t index) const override {
    const int64_t begin = index * sequence_length_;
    return {{"tokens", tokens_.slice(begin, begin + length(index) + 1)}};
  }

  /// Tokens that are predicted: one fewer than the sample holds.
  int64_t length(int64_t index) const override {
    return std::min(sequence_length_, tokens_.size() - 1 - index * sequence_length_);
  }

  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("packed");
    fingerprint.add(sequence_length_);
    tokens_.add_to(fingerprint);
    return fingerprint.text();
  }

 private:
  TokenStore tokens_;
  int64_t sequence_length_;
};

/// One document a sample.
class DocumentTokens final : public Dataset {
 public:
  /// Sample i is tokens [ends[i - 1], ends[i]).
  DocumentTokens(TokenStore tokens, std::vector<int64_t> ends)
      : tokens_(std::move(tokens)), ends_(std::move(ends)) {}

  int64_t size() const override { return static_cast<int64_t>(ends_.size()); }
  Sample get(int64_t index) const override {
    return {{"tokens", tokens_.slice(begin(index), end(index))}};
  }
  int64_t length(int64_t index) const override { return end(index) - begin(index) - 1; }

  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("documents");
    for (int64_t end : ends_) fingerprint.add(end);
    tokens_.add_to(fingerprint);
    return fingerprint.text();
  }

 private:
  int64_t begin(int64_t index) const {
    return index == 0 ? 0 : ends_[static_cast<size_t>(index) - 1];
  }
  int64_t end(int64_t index) const { return ends_[static_cast<size_t>(index)]; }

  TokenStore tokens_;
  std::vector<int64_t> ends_;
};

std::unique_ptr<Dataset> pack(const DocumentSource& documents, const DatasetContext& context) {
  const auto end_of_text = context.tokenizer->end_of_text();
  TokenStore store(context.tokenizer->vocab_size());
  for (int64_t i = 0; i < documents.size(); ++i) {
    const auto tokens = context.tokenizer->encode(documents.document(i));
    if (tokens.empty()) continue;
    if (store.size() > 0 && end_of_text) store.append(&*end_of_text, &*end_of_text + 1);
    store.append(tokens.data(), tokens.data() + tokens.size());
  }
  if (store.size() < 2) return nullptr;
  return std::make_unique<PackedTokens>(std::move(store), context.sequence_length);
}

std::unique_ptr<Dataset> keep_apart(const DocumentSource& documents,
                                    const DatasetContext& context) {
  const auto end_of_text = context.tokenizer->end_of_text();
  TokenStore store(context.tokenizer->vocab_size());
  std::vector<int64_t> ends;
  for (int64_t i = 0; i < documents.size(); ++i) {
    auto tokens = context.tokenizer->encode(documents.document(i));
    if (tokens.empty()) continue;
    if (end_of_text) tokens.push_back(*end_of_text);
    if (tokens.size() < 2) continue;
    const auto length = std::min(tokens.size(), static_cast<size_t>(context.sequence_length) + 1);
    store.append(tokens.data(), tokens.data() + length);
    ends.push_back(store.size());
  }
  if (ends.empty()) return nullptr;
  return std::make_unique<DocumentTokens>(std::move(store), std::move(ends));
}

}  // namespace

std::unique_ptr<Dataset> make_token_dataset(std::unique_ptr<DocumentSource> documents,
                                            const TokenDatasetOptions& options,
                                            const DatasetContext& context) {
  if (context.tokenizer == nullptr)
    throw ConfigError(
        "this dataset is read as tokens, and the experiment names no tokenizer; add "
        "data.tokenizer, for example {kind: bytes}");
  if (context.sequence_length <= 0)
    throw ConfigError(
        "this dataset is cut into sequences of tokens, and the model has no sequence length; "
        "choose a model that reads tokens, or another kind");
  auto dataset = options.pack ? pack(*documents, context) : keep_apart(*documents, context);
  if (!dataset)
    throw DataError(c10::str("none of ", documents->size(),
                             " documents gives two tokens or more: there is nothing to predict"));
  return dataset;
}

}  // namespace triga
