// CutModel: an architecture trained for a few steps in stages, all in this process, with everything
// that passes a boundary sent through the wire format. What it records is to be compared, bit for
// bit, with the uncut model's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parallel/pipeline/stage.h"
#include "parameters/parameter_store.h"
#include "triga/architecture.h"

namespace triga::conformance {

/// All that a run gives, by a name such as "step 2: gradient of wte.weight": outputs, losses,
/// gradients, values of parameters and buffers, carried state.
using Record = std::map<std::string, at::Tensor>;

class CutModel final : public Predictor {
 public:
  /// Stages end before each layer of `cuts`, and after the last layer. The parameters are drawn
  /// from `seed`.
  CutModel(const Architecture& architecture, const std::vector<size_t>& cuts, uint64_t seed = 5);

  /// From now on training computes these activations again instead of keeping them.
  void set_recompute(Recompute recompute) { recompute_ = recompute; }

  /// Each layer a stage.
  static CutModel everywhere(const Architecture& architecture);

  /// A step of plain gradient descent for each batch. `carry_state`: layers are given state by
  /// sequence.
  Record train(const std::vector<Batch>& batches, bool carry_state);

  /// What training on this one microbatch minimises, and the gradients of it, in parameters().
  double loss(const Batch& batch);
  void compute_gradients(const Batch& batch);

  /// What each stage did with a batch of training.
  std::vector<StageRun> forward(const Batch& batch);

  /// The outputs in Mode::kEvaluate.
  Activations evaluate(const Batch& batch);
  /// The outputs in Mode::kGenerate. Requires: uncut.
  Activations predict(const Batch& batch, SequenceState* state) override;

  size_t num_layers() const { return specs_.size(); }
  const std::string& layer_name(size_t layer) const { return specs_[layer].name; }
  const ParameterStore& parameters() const { return *store_; }

 private:
  /// What goes between two stages of a step, by their numbers.
  using Passing = std::map<std::pair<int, int>, Activations>;

  std::vector<StageRun> forward(const Batch& batch, int64_t step, bool carry_state, Record& record);
  void backward(std::vector<StageRun> runs, const Batch& batch);
  void update(int64_t step, Record& record);

  Activations inputs_of(size_t stage, Passing& passing) const;

  uint64_t seed_;
  Recompute recompute_ = Recompute::kNone;
  std::vector<LayerSpec> specs_;
  std::unique_ptr<Loss> loss_;
  std::vector<size_t> bounds_;  // stage i runs layers [bounds_[i], bounds_[i + 1])
  std::vector<StageFlow> flow_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<SequenceState> states_;  // of each stage
  StatisticSums statistics_;
  std::unique_ptr<ParameterStore> store_;
};

/// Names of what is not the same in every bit, or only in one of them.
std::vector<std::string> differences(const Record& a, const Record& b);

}  // namespace triga::conformance
