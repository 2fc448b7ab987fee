// The tokens of documents, in a file of the cache under the fingerprints of documents and tokenizer:
// all processes of a machine share it, one of them makes it, with progress, and a second start finds
// it. It is read with pread, so what the system keeps in memory of it is shared as well.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/files.h"
#include "data/token_file.h"
#include "triga/dataset.h"

namespace triga {

/// What becomes of each document.
enum class TokenDocuments {
  kOfText,    // with the end-of-text token after it, where it has any tokens
  kOfSamples  // as it is, though it may be empty: one for each
};

struct CachedTokens {
  std::unique_ptr<TokenFile> file;
  Path path;  // empty: in memory, since it could not be cached
};

/// Requires: a tokenizer in the context. Throws: what the tokenizer throws; DataError for a file of
/// the cache that is damaged.
CachedTokens cached_tokens(const DocumentSource& documents, TokenDocuments kind,
                           const DatasetContext& context);

/// A dataset that reads them.
class TokenDataset : public Dataset {
 public:
  struct OnDisk {
    Path path;  // empty: in memory
    int64_t num_documents = 0, num_tokens = 0;
  };
  OnDisk on_disk() const {
    return {path_, static_cast<int64_t>(tokens_->ends().size()), tokens_->num_tokens()};
  }

 protected:
  explicit TokenDataset(CachedTokens tokens)
      : tokens_(std::move(tokens.file)), path_(std::move(tokens.path)) {}

  /// Where a document begins.
  int64_t begin_of(size_t document) const {
    return document == 0 ? 0 : tokens_->ends()[document - 1];
  }

  std::unique_ptr<TokenFile> tokens_;

 private:
  Path path_;
};

/// Which file of tokens a dataset reads, for those who want to say where it lies. Nothing: it reads
/// none.
std::optional<TokenDataset::OnDisk> tokens_on_disk(const Dataset& dataset);

}  // namespace triga
