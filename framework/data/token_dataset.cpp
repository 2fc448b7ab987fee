// make_token_dataset (triga/dataset.h): documents -> a file of tokens -> windows. The file lies in the
// cache under the fingerprints of documents and tokenizer, so all processes of a machine share it
// and a second start finds it; it is read with pread, so what the system keeps in memory of it is
// shared as well.
#include "data/token_dataset.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <utility>

#include "data/cache_entry.h"
#include "data/fingerprint.h"
#include "data/token_file.h"
#include "triga/error.h"
#include "triga/log.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

/// What both datasets read: tokens, and the path of their file ("": in memory).
struct Tokens {
  std::unique_ptr<TokenFile> file;
  Path path;
};

class TokenDataset : public Dataset {
 public:
  explicit TokenDataset(Tokens tokens)
      : tokens_(std::move(tokens.file)), path_(std::move(tokens.path)) {}
  TokensOnDisk on_disk() const {
    return {path_, static_cast<int64_t>(tokens_->ends().size()), tokens_->num_tokens()};
  }

 protected:
  std::unique_ptr<TokenFile> tokens_;

 private:
  Path path_;
};

/// All documents one after the other, in windows that overlap by one token: the last of a window is
/// a label there and the first input of the next. The last window may be shorter.
class PackedTokens final : public TokenDataset {
 public:
  PackedTokens(Tokens tokens, int64_t num_tokens, int64_t sequence_length)
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
  DocumentTokens(Tokens tokens, int64_t sequence_length)
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
  int64_t begin_of(size_t document) const {
    return document == 0 ? 0 : tokens_->ends()[document - 1];
  }

  int64_t longest_;                // tokens of a sample
  std::vector<size_t> documents_;  // those with two tokens or more
};

/// Each document that has tokens, with the end-of-text token after it.
void write_tokens(std::unique_ptr<WritableFile> file, const DocumentSource& documents,
                  const DatasetContext& context) {
  const Tokenizer& tokenizer = *context.tokenizer;
  const std::optional<int32_t> end_of_text = tokenizer.end_of_text();
  TokenFileWriter writer(std::move(file), tokenizer.vocab_size());
  const std::string what = "tokens of " + context.split;
  for (int64_t i = 0; i < documents.size(); ++i) {
    context.report_progress(what, i, documents.size());
    std::vector<int32_t> tokens = tokenizer.encode(documents.document(i));
    if (tokens.empty()) continue;
    if (end_of_text) tokens.push_back(*end_of_text);
    writer.add(tokens);
  }
  writer.finish();
  context.report_progress(what, documents.size(), documents.size());
}

Tokens tokens_in_memory(const DocumentSource& documents, const DatasetContext& context) {
  const auto bytes = std::make_shared<std::string>();
  write_tokens(write_to_memory(bytes), documents, context);
  return {std::make_unique<TokenFile>(read_from_memory(bytes), "tokens in memory"), {}};
}

/// Where the tokens are cached; "": nowhere, since nothing says what the tokenizer is.
Path cache_path(const DocumentSource& documents, const DatasetContext& context) {
  const std::map<std::string, std::string> files = context.tokenizer->files();
  if (context.cache_dir.empty() || files.empty()) return {};
  Fingerprint fingerprint;
  fingerprint.add("token file 1");
  fingerprint.add(documents.fingerprint());
  fingerprint.add(context.tokenizer->vocab_size());
  fingerprint.add(context.tokenizer->end_of_text().value_or(-1));
  for (const auto& [name, content] : files) {
    fingerprint.add(name);
    fingerprint.add(content);
  }
  return Path(context.cache_dir) / "tokens" / fingerprint.text();
}

Tokens tokens_of(const DocumentSource& documents, const DatasetContext& context) {
  const Path path = cache_path(documents, context);
  if (path.empty()) return tokens_in_memory(documents, context);
  try {
    make_cached_file(posix_files(), path, "tokens of " + context.split, [&](const Path& temporary) {
      write_tokens(posix_files().create(temporary), documents, context);
    });
    return {std::make_unique<TokenFile>(posix_files().open(path), path.string()), path};
  } catch (const FileError& error) {
    log_warning("data", error.what(), ": the tokens of ", context.split,
                " are not cached, and each process keeps its own in memory; TRIGA_CACHE_DIR names "
                "another folder");
    return tokens_in_memory(documents, context);
  }
}

std::unique_ptr<Dataset> make_dataset(Tokens tokens, bool pack, const DatasetContext& context) {
  if (!pack) return std::make_unique<DocumentTokens>(std::move(tokens), context.sequence_length);
  const bool has_end = context.tokenizer->end_of_text() && tokens.file->num_tokens() > 0;
  const int64_t num_tokens = tokens.file->num_tokens() - (has_end ? 1 : 0);
  if (num_tokens < 2) return nullptr;
  return std::make_unique<PackedTokens>(std::move(tokens), num_tokens, context.sequence_length);
}

}  // namespace

std::optional<TokensOnDisk> tokens_on_disk(const Dataset& dataset) {
  const auto* tokens = dynamic_cast<const TokenDataset*>(&dataset);
  if (tokens == nullptr) return std::nullopt;
  return tokens->on_disk();
}

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
  auto dataset = make_dataset(tokens_of(*documents, context), options.pack, context);
  if (!dataset || dataset->size() == 0)
    throw DataError(c10::str("none of ", documents->size(),
                             " documents gives two tokens or more: there is nothing to predict"));
  return dataset;
}

}  // namespace triga
