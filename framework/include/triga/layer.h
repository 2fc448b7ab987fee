// Layer: the unit of a model. An architecture is an ordered list of layers; the core decides which
// rank runs which, so a layer is written for one device and knows nothing of ranks.
//
// A layer *declares* its parameters when it is constructed, which allocates nothing. The core then
// gives them memory (views into the flat buffer of the stage), and values: drawn from (seed,
// parameter name) or read from a checkpoint. Two layers that declare a parameter of the same name
// share it (tied embeddings), on one stage or on two.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "triga/batch.h"
#include "triga/random.h"

namespace triga {

class SequenceState;

/// The tensors that flow between layers, by name.
using Activations = NamedTensors;

enum class Mode { kTrain, kEvaluate, kGenerate };

/// How a parameter gets its first values, from a generator keyed by (seed, parameter name).
struct Init {
  enum class Kind { kConstant, kNormal, kUniform };
  Kind kind = Kind::kConstant;
  double a = 0;                        // the constant, the mean, or the lower bound
  double b = 0;                        // the standard deviation, or the upper bound
  int64_t first_row = 0, end_row = 0;  // those of the first dimension that get `row_value` instead
  double row_value = 0;

  static Init constant(double value) { return {Kind::kConstant, value, 0}; }
  static Init zeros() { return constant(0); }
  static Init ones() { return constant(1); }
  static Init normal(double stddev) { return {Kind::kNormal, 0, stddev}; }
  static Init uniform(double bound) { return {Kind::kUniform, -bound, bound}; }

  /// The same, but rows [first, end) are `value`: one gate of several that share a parameter.
  Init with_rows(int64_t first, int64_t end, double value) const {
    return {kind, a, b, first, end, value};
  }
};

struct ParameterSpec {
  std::string name;  // as in the checkpoint of the library that owns the architecture
  std::vector<int64_t> shape;
  Init init;
  bool trainable = true;  // false: a frozen parameter: no gradient, no optimizer state
  bool is_buffer =
      false;  // state that no gradient changes (running statistics): saved, never optimised

  int64_t numel() const {
    int64_t product = 1;
    for (int64_t extent : shape) product *= extent;
    return product;
  }
};

/// Where gradients of parameters belong: for operations (triga/ops.h) that write them there
/// themselves. What they write they also give to autograd as the gradient, which then is not
/// copied.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  /// Memory for a gradient, fp32 and contiguous, in the parameter's shape. `accumulate`: it holds a
  /// sum that is to be added to. Undefined: the gradient is to be made elsewhere.
  virtual at::Tensor destination(size_t parameter, bool& accumulate) = 0;
  /// Memory that holds a part of this backward pass's gradient, to which another part may be added;
  /// the operation that does so gives autograd none. Undefined: there is none.
  virtual at::Tensor begun(size_t parameter) = 0;
};

namespace detail {
/// Throws: Error that says how a parameter is declared.
[[noreturn]] void throw_not_declared();
}  // namespace detail

/// A layer's handle on a parameter that it declared; usable as a tensor inside forward(). One that was
/// made without declaring a parameter cannot be used. Throws (every function): Error for it.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(ParameterSpec spec)
      : slot_(std::make_shared<Slot>(Slot{std::move(spec), {}})) {}

  const ParameterSpec& spec() const { return slot().spec; }
  const at::Tensor& tensor() const { return slot().tensor; }
  operator const at::Tensor&() const { return slot().tensor; }  // NOLINT: reads as the tensor it is
  const at::Tensor* operator->() const { return &slot().tensor; }

  /// For the core: gives the parameter its memory. Requires: the shape of the spec.
  void bind(at::Tensor tensor) const { slot().tensor = std::move(tensor); }
  /// For the core: takes part in training or not, before memory is given.
  void set_trainable(bool trainable) const { slot().spec.trainable = trainable; }
  /// For the core: where the gradient belongs; null: autograd keeps it. It must outlive the layer's
  /// backward passes.
  void set_sink(GradientSink* sink, size_t index) const {
    slot().sink = sink;
    slot().index = index;
  }

  /// For operations; see GradientSink.
  at::Tensor gradient_destination(bool& accumulate) const {
    return slot().sink == nullptr ? at::Tensor()
                                  : slot().sink->destination(slot().index, accumulate);
  }
  at::Tensor begun_gradient() const {
    return slot().sink == nullptr ? at::Tensor() : slot().sink->begun(slot().index);
  }

 private:
  struct Slot {
    ParameterSpec spec;
    at::Tensor tensor;
    GradientSink* sink = nullptr;
    size_t index = 0;
  };
  Slot& slot() const {
    if (slot_ == nullptr) [[unlikely]]
      detail::throw_not_declared();
    return *slot_;
  }
  std::shared_ptr<Slot> slot_;  // null: no parameter was declared
};

/// Sums that are gathered over all microbatches and ranks of a step and applied once (batch
/// statistics, expert load).
struct StepStatistic {
  std::string name;
  at::Tensor sum;    // any shape, the same every time
  double count = 0;  // what to divide by for a mean
};

/// Takes what a layer says of a gradient inside of it: `squares`, fp64 [n], sums of squares at each of
/// n places of a sequence.
using GradientReport = std::function<void(std::string_view name, const at::Tensor& squares)>;

/// What a layer may know and do besides its inputs. Made by the core for each call; may grow
/// without changing plugins.
class LayerContext {
 public:
  virtual ~LayerContext() = default;

  virtual Mode mode() const = 0;
  bool training() const { return mode() == Mode::kTrain; }

  /// The microbatch whose inputs these are. Its fields are there on every stage.
  virtual const Batch& batch() const = 0;

  /// A key for random numbers at this place: (seed, step, layer name, call site). Combine it with
  /// `batch().microbatch` as the counter, as triga::dropout does, so that masks do not depend on
  /// the layout.
  virtual RandomKey random_key(std::string_view call_site) const = 0;

  /// State that belongs to sequences and lives from call to call (key-value cache, carried
  /// recurrent state); null when there is none to keep: training and evaluation, but for models
  /// that say Architecture::carries_state(). Values are kept without history.
  virtual SequenceState* sequence_state() = 0;

  /// Adds to a statistic of the step; `Layer::apply_statistics` gets the total. Only while
  /// training.
  virtual void add_statistic(std::string_view name, const at::Tensor& sum, double count) = 0;

  /// A loss that arises here, in the middle of the model: `weight` * sum / global count is added to
  /// what is minimised, where the count is `Loss::count(batch, name)`. Works on every stage.
  /// Requires: a name of Loss::auxiliary_names().
  virtual void add_loss(std::string_view name, const at::Tensor& sum, double weight) = 0;

  /// Set in the steps that watch gradients inside of layers (log.gradient_norms_every_steps), else
  /// empty: a layer that has something to say of them (recurrent layers: of the loss by what they
  /// remember at each time step) calls it once a name during its backward pass, from a hook. It is
  /// added up over microbatches and ranks, and the roots are logged. Watching changes no result.
  virtual GradientReport gradient_report() { return nullptr; }

  /// A part of forward() whose activations are large and cheap to compute again (attention
  /// weights): function(inputs, context). With `parallel.recompute: selective` backward runs it
  /// again instead of keeping what it computes, with the same bits. `function` may capture the
  /// layer and plain values, but no tensor that needs a gradient and no reference to a local
  /// variable; a parameter that it uses is used nowhere else; it adds no statistics and no losses.
  using Part =
      std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs, LayerContext&)>;
  virtual std::vector<at::Tensor> recompute(const Part& function,
                                            const std::vector<at::Tensor>& inputs) {
    return function(inputs, *this);
  }
};

/// A part of a model that is never split: embedding, one transformer block, a head.
class Layer {
 public:
  virtual ~Layer() = default;
  Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Computes what the layer's spec says it writes, from what the spec says it reads. Called once a
  /// microbatch, and again for the same microbatch under recomputation: it must give the same
  /// result and have no other effect.
  virtual Activations forward(const Activations& inputs, LayerContext& context) = 0;

  /// Once a step, with the totals over all microbatches and ranks of what forward added, on every
  /// rank that has this layer, after backward and before the optimizer. The place to change
  /// buffers.
  virtual void apply_statistics(const std::vector<StepStatistic>& /*totals*/) {}

  /// In order of declaration.
  const std::vector<Parameter>& parameters() const { return parameters_; }

 protected:
  /// Declares a parameter. `name` is its full name in a checkpoint ("transformer.h.0.ln_1.weight").
  Parameter parameter(std::string name, std::vector<int64_t> shape, Init init) {
    parameters_.emplace_back(ParameterSpec{std::move(name), std::move(shape), init});
    return parameters_.back();
  }
  /// Declares a buffer: saved and restored like a parameter, changed only by the layer itself.
  Parameter buffer(std::string name, std::vector<int64_t> shape, Init init) {
    parameters_.emplace_back(ParameterSpec{std::move(name), std::move(shape), init,
                                           /*trainable=*/false, /*is_buffer=*/true});
    return parameters_.back();
  }

 private:
  std::vector<Parameter> parameters_;
};

/// One entry of an architecture's list of layers. Cheap: nothing is built until a stage that owns
/// it asks.
struct LayerSpec {
  std::string name;                               // unique in the model; keys its randomness
  std::function<std::unique_ptr<Layer>()> build;  // declares parameters; allocates nothing
  std::vector<std::string> reads = {};            // activations that forward() takes
  std::vector<std::string> writes = {};           // activations that forward() returns
  std::string component = {};                     // "" or the named part of the model (unet, vae)
  bool frozen = false;                            // no gradients for its parameters
};

}  // namespace triga
