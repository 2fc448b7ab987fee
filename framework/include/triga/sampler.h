// Sampler: how a family generates (text, images, forecasts). It sees a Predictor, never layers, so
// that beam search, guidance and cascades run under any layout.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "triga/batch.h"
#include "triga/config.h"
#include "triga/layer.h"
#include "triga/progress.h"
#include "triga/sequence_state.h"

namespace triga {

class Tokenizer;

/// A trained model as a function.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// What the last layer writes for `batch`, without gradient, dropout off. With `state` the layers
  /// go on from what they remember of the sequences, and add to it; the caller advances and
  /// reorders it.
  virtual Activations predict(const Batch& batch, SequenceState* state) = 0;
};

/// What a sampler may use.
struct SamplerContext {
  const Tokenizer* tokenizer = nullptr;         // null when the experiment names none
  std::string output_dir;                       // absolute, exists: where files of results belong
  std::function<void(std::string_view)> print;  // shows text to the user as it arises
  ReportProgress report_progress = no_progress;
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Generates once. All results that are text go through context.print; files lie in
  /// context.output_dir afterwards.
  virtual void generate(Predictor& predictor, const SamplerContext& context) = 0;
};

/// A sampler with its inputs: each `--input key=value` of the command sets one, described like any
/// configuration.
struct SamplerKind {
  std::function<std::unique_ptr<Sampler>(const ConfigNode& inputs)> create;
  std::function<ConfigNode()> schema;
};

}  // namespace triga
