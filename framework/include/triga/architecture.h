// Start here. An Architecture is what one experiment trains: a list of layers, a loss, how samples
// become batches, and how the result is stored so that the library that owns the architecture can
// read it. A plugin registers architectures (plugin.h), usually one class and one config struct
// each. See docs/write_a_plugin.md.
//
//   experiment.yaml -> config struct -> Architecture -> layers, loss, collate; the rest is the core's
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "triga/batch.h"
#include "triga/dataset.h"
#include "triga/layer.h"
#include "triga/loss.h"
#include "triga/metric.h"
#include "triga/sampler.h"

namespace triga {

/// What an architecture's factory may use beside its own config.
struct ArchitectureContext {
  const Tokenizer* tokenizer = nullptr;  // null when the experiment names none
};

/// Where one component of a model lies in a checkpoint directory.
struct ComponentFiles {
  std::string component;          // as in LayerSpec; "" for a model of one part
  std::string folder;             // "" or `unet`
  std::string weights = "model";  // stem of the weight file: model.safetensors
};

/// Metadata that makes a checkpoint a model directory of the owning library.
struct ModelDirectory {
  std::map<std::string, std::string>
      files;  // name -> content: config.json, generation_config.json, README.md
  std::vector<ComponentFiles> components = {{}};
};

class Architecture {
 public:
  virtual ~Architecture() = default;

  /// The model, in order. Cheap and the same every time.
  virtual std::vector<LayerSpec> layers() const = 0;

  virtual std::unique_ptr<Loss> loss() const = 0;

  /// Makes a microbatch of samples (at least one). A pure function of its arguments. Thread-safe.
  virtual Batch collate(const std::vector<Sample>& samples,
                        const CollateContext& context) const = 0;

  /// Longest sequence that a sample should give, for datasets that cut; 0: the family has none.
  virtual int64_t sequence_length() const { return 0; }

  /// Rows of a time series that it forecasts at once, for datasets that cut windows; 0: it forecasts
  /// none.
  virtual int64_t horizon() const { return 0; }

  /// In training and evaluation, layers go on from what they remember of the samples before
  /// (LayerContext::sequence_state). Data are then read in streams: row i of a step follows row i of
  /// the step before; where an epoch begins, nothing is remembered.
  virtual bool carries_state() const { return false; }

  /// Of an evaluation, beside the loss.
  virtual std::vector<std::unique_ptr<Metric>> metrics() const { return {}; }

  /// How it generates; nothing when it does not.
  virtual std::optional<SamplerKind> sampler() const { return std::nullopt; }

  /// How a checkpoint of this model looks to the library that owns the architecture.
  virtual ModelDirectory model_directory() const = 0;

  /// Compares `files` of a model directory (name -> content, such as config.json) with this model's
  /// config. Throws: ConfigError that names each value that differs; CheckpointError when a file is
  /// missing or cannot be read.
  virtual void check_compatible(const std::map<std::string, std::string>& files) const = 0;

  /// The name that this model gives to a tensor of a stored weight file; nothing: the tensor is not
  /// a parameter (an old buffer, a copy of a tied weight).
  virtual std::optional<std::string> parameter_name(const std::string& stored_name) const {
    return stored_name;
  }
};

}  // namespace triga
