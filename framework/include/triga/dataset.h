// Dataset: samples by index. Order, sharding over ranks, batching and prefetching belong to the
// core, so a dataset is just two functions, and a decorator is a dataset that holds a dataset.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "triga/batch.h"
#include "triga/progress.h"
#include "triga/random.h"

namespace triga {

class Tokenizer;

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;

  /// Sample `index`, 0 <= index < size(), always the same. Thread-safe. Throws: DataError.
  virtual Sample get(int64_t index) const = 0;

  /// Its length in the unit of `train.global_batch.tokens` (tokens, frames), without reading it.
  virtual int64_t length(int64_t /*index*/) const { return 1; }

  /// Sample i + 1 goes on where sample i ends: windows of one text, for models that carry their state.
  virtual bool is_continuous() const { return false; }

  /// Changes when the samples do; kept in checkpoints so that a resume on other data is refused.
  virtual std::string fingerprint() const = 0;

  /// Of training: what whoever uses the model has to know of how the data were read, such as what
  /// they were scaled with. Small text files (.json, .txt) of the model directory, by name.
  virtual std::map<std::string, std::string> model_files() const { return {}; }
};

/// What a dataset's factory may use.
struct DatasetContext {
  std::string split;                     // train, validation or test
  const Tokenizer* tokenizer = nullptr;  // null when the experiment names none
  int64_t sequence_length = 0;           // Architecture::sequence_length(); 0: it has none
  int64_t horizon = 0;                   // Architecture::horizon(); 0: it forecasts none
  std::string cache_dir;                 // absolute; may not exist yet; "": nothing may be kept
  ReportProgress report_progress = no_progress;
};

/// For datasets of tokens. Throws: ConfigError when the context has no tokenizer or no sequence
/// length.
void check_reads_tokens(const DatasetContext& context);

/// Documents of text by index: what a reader of some file format gives. `make_token_dataset` turns
/// it into the samples that language models read, so an own reader (Parquet, a database) needs only
/// this.
class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  virtual int64_t size() const = 0;
  /// Thread-safe. The view lives as long as the source, or until this thread's next call.
  virtual std::string_view document(int64_t index) const = 0;
  virtual std::string fingerprint() const = 0;
};

/// How documents become samples of tokens.
struct TokenDatasetOptions {
  /// true: all documents one after the other, with the end-of-text token between, cut into windows
  /// of sequence_length + 1 tokens that overlap by one. false: a sample a document, with the
  /// end-of-text token after it so that a model learns to stop, cut to sequence_length + 1 tokens.
  bool pack = true;
};

/// Samples {"tokens": int64 [n]} with 2 <= n <= context.sequence_length + 1. Documents too short to
/// give one are left out. Throws: DataError when nothing is left; ConfigError when the context has
/// no tokenizer or sequence length.
std::unique_ptr<Dataset> make_token_dataset(std::unique_ptr<DocumentSource> documents,
                                            const TokenDatasetOptions& options,
                                            const DatasetContext& context);

/// What collating a microbatch may use beside the samples.
struct CollateContext {
  int64_t first_position = 0;  // global count of samples used before the first one
  RandomKey key;               // of (seed)
  bool training = false;

  /// For noise, masks and augmentation of sample i of the microbatch: keyed by its position, so
  /// that it differs every epoch and does not depend on the layout.
  RandomStream random(int64_t i, std::string_view use) const {
    return RandomStream(key.with(use), static_cast<uint64_t>(first_position + i));
  }
};

}  // namespace triga
