// Stage: consecutive layers of a model that one rank runs, forward and backward, a microbatch at a
// time. A model on one rank is one stage of all layers. What enters and leaves is plain tensors
// without history, so that a boundary can be a wire.
//
//   activations in  ->  Stage::forward   ->  activations out, losses
//                           |  StageRun keeps the graph between the two calls
//   gradients in    <-  Stage::backward  <-  gradients of what went out
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/plugin_call.h"
#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/gradient_sums.h"
#include "parallel/pipeline/split_backward.h"
#include "triga/layer.h"
#include "triga/loss.h"
#include "triga/sequence_state.h"

namespace triga {

class Trace;

/// Sums of Layer::add_statistic over the microbatches of a step on this rank, by (layer, name).
class StatisticSums {
 public:
  using Key = std::pair<std::string, std::string>;  // layer, name
  struct Sum {
    at::Tensor sum;
    double count = 0;
  };
  void add(const std::string& layer, std::string_view name, const at::Tensor& sum, double count);
  void clear() { sums_.clear(); }
  std::map<Key, Sum>& sums() { return sums_; }

 private:
  std::map<Key, Sum> sums_;
};

/// Which activations backward computes again instead of keeping them.
enum class Recompute {
  kNone,
  kSelective,  // those of the parts that layers name (LayerContext::recompute)
  kFull        // all but the inputs of layers
};

/// What all forward passes of a step have in common.
struct StepContext {
  Mode mode = Mode::kTrain;
  uint64_t seed = 0;
  int64_t step = 0;
  SequenceState* sequence_state = nullptr;
  StatisticSums* statistics = nullptr;  // null: what layers add is dropped
  GradientSums* gradients = nullptr;    // null: layers are not asked; must outlive backward
  Recompute recompute = Recompute::kNone;
  Trace* trace = nullptr;
  /// Called before layer `i` of the stage reads its parameters. Null: nothing to do.
  std::function<void(size_t i)> before_layer = nullptr;
};

struct LossTerm {
  std::string name;  // "loss" for the main one
  at::Tensor sum;    // scalar
  double weight = 1;
};

/// What the forward pass of a microbatch leaves for its backward pass. Dropping it frees the
/// activations.
struct StageRun {
  Activations inputs;   // leaves: backward leaves their gradients in .grad()
  Activations outputs;  // with history
  std::vector<LossTerm> losses;
  int64_t step = 0, microbatch = 0;  // for messages
};

/// 1 / global count of a loss, by its name.
using LossScale = std::function<double(const std::string&)>;

class Stage {
 public:
  /// Builds layers [begin, end) of `all_layers`, which take `flow.inputs` from other stages and give
  /// `flow.outputs`. `loss`: of the architecture; the last stage computes it. `all_layers` and
  /// `loss` must outlive the stage.
  Stage(const std::vector<LayerSpec>& all_layers, size_t begin, size_t end, const StageFlow& flow,
        const Loss& loss);

  /// `inputs`: what the flow names; a gradient is made of those that require one. Gradients are kept
  /// track of where grad mode is on. With Mode::kGenerate the loss is left out. `batch` must live
  /// until the backward pass. Nothing is recomputed where layers carry state from call to call.
  StageRun forward(const Activations& inputs, const Batch& batch, const StepContext& step) const;

  /// Adds to the gradients of the parameters; gives those of the inputs, by name (undefined where
  /// there is none). `grad_outputs`: gradients of outputs, by name.
  Activations backward(StageRun run, const Activations& grad_outputs, const LossScale& scale) const;

  /// The same in two parts, with the same bits: first the gradients of the inputs; then, at any
  /// later time, those of the parameters, from what the first part left.
  struct InputGradients {
    Activations gradients;
    SplitBackward rest;
    int64_t step = 0, microbatch = 0;  // for messages
  };
  InputGradients backward_inputs(StageRun run, const Activations& grad_outputs,
                                 const LossScale& scale) const;
  /// What `rest` still holds is dropped.
  void backward_weights(InputGradients& first) const;

  /// Gives each layer the totals of its statistics.
  void apply_statistics(const std::map<StatisticSums::Key, StatisticSums::Sum>& totals);

  struct BuiltLayer {
    const LayerSpec* spec;
    std::unique_ptr<Layer> layer;
    PluginCode code;  // of `layer`
  };
  const std::vector<BuiltLayer>& layers() const { return layers_; }
  bool is_last() const { return is_last_; }

 private:
  Activations run_layer(size_t i, const Activations& inputs, const Batch& batch,
                        const StepContext& step, std::vector<LossTerm>& losses) const;
  Activations run_layer_recomputed(size_t i, const Activations& inputs, const Batch& batch,
                                   const StepContext& step, std::vector<LossTerm>& losses) const;
  /// Where a backward pass of this stage begins.
  const PluginCode& last_code() const { return is_last_ ? loss_code_ : layers_.back().code; }

  std::vector<BuiltLayer> layers_;
  std::vector<std::vector<std::string>> dead_after_;  // [layer] names that nobody reads any more
  const std::vector<std::string> outputs_;
  const Loss& loss_;
  const PluginCode loss_code_;
  std::vector<std::string> auxiliary_names_;
  bool is_last_;
};

}  // namespace triga
