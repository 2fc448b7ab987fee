// Sampler: how a family generates (text, images, forecasts). It sees a Predictor, never layers, so
// that beam search, guidance and cascades run under any layout.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

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

/// What a sampler may use. A run that trains generates on every rank, and the first one's results
/// count: so results leave a sampler through these functions alone.
struct SamplerContext {
  const Tokenizer* tokenizer = nullptr;         // null when the experiment names none
  std::function<void(std::string_view)> print;  // a piece of text, as it arises
  /// A file of results: its name, such as "grid.png", and its content.
  std::function<void(const std::string& name, std::string_view content)> save;
  ReportProgress report_progress = no_progress;
  /// Text files of the model directory, name -> content: what the architecture, the tokenizer and
  /// the training data say of the model (Dataset::model_files). Empty: nothing is known.
  std::map<std::string, std::string> files = {};
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Generates once. The results depend on the inputs and on what the predictor says alone; they go
  /// through context.print and context.save.
  virtual void generate(Predictor& predictor, const SamplerContext& context) = 0;
};

/// A sampler with its inputs: each `--input key=value` of the command sets one, described like any
/// configuration.
struct SamplerKind {
  std::function<std::unique_ptr<Sampler>(const ConfigNode& inputs)> create;
  /// The inputs with every default filled in and paths absolute. Throws: ConfigError.
  std::function<ConfigNode(const ConfigNode& inputs)> resolve;
  std::function<ConfigNode()> schema;
};

/// `Inputs`: a described struct.
template <class Inputs>
SamplerKind sampler_kind(std::function<std::unique_ptr<Sampler>(const Inputs& inputs)> create) {
  return {[create](const ConfigNode& inputs) { return create(read_config<Inputs>(inputs)); },
          [](const ConfigNode& inputs) { return write_config(read_config<Inputs>(inputs)); },
          [] { return config_schema<Inputs>(); }};
}

}  // namespace triga
