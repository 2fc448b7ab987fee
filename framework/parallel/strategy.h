// Strategy: how a model, split over the process grid, goes through a step. The trainer sees these
// few calls and knows nothing of ranks: one process is a grid of 1 x 1.
//
// All public functions are collective over the grid, and give the same numbers on every rank.
//
//   grid of dp x pp:  `data` joins the ranks that have the same stages, `pipeline` those that share
//   a model, `world` all of them
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "optim/flat_optimizer.h"
#include "parallel/data_parallel/gradient_reducer.h"
#include "parallel/data_parallel/shard_collector.h"
#include "parallel/data_parallel/value_gatherer.h"
#include "parallel/memory_plan.h"
#include "parallel/model_stages.h"
#include "parallel/pipeline/carried_state.h"
#include "parallel/pipeline/gradient_sums.h"
#include "parallel/pipeline/runner.h"
#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/tie_exchange.h"
#include "parameters/parameter_store.h"
#include "triga/architecture.h"

namespace triga {

/// Sum and count of one loss over all microbatches and ranks.
struct LossTotal {
  double sum = 0;
  double count = 0;
  double mean() const { return count > 0 ? sum / count : 0; }
};

/// The losses of a step or of an evaluation, by name: "loss" and the architecture's auxiliary ones.
struct StepLoss {
  std::map<std::string, LossTotal> totals;
  double mean() const { return totals.at("loss").mean(); }
  double count() const { return totals.at("loss").count; }
};

struct EvaluationResult {
  StepLoss loss;
  std::map<std::string, double> metrics;
};

class Strategy {
 public:
  struct Options {
    uint64_t seed = 0;
    int zero =
        0;  // what data-parallel ranks keep in parts: 1 the optimizer's state, 2 gradients too
    Recompute recompute = Recompute::kNone;
    int64_t bucket_bytes = 4 << 20;
    at::ScalarType compute_type = at::kFloat;  // or bf16
    ScheduleChoice schedule;                   // of the pipeline
    std::vector<size_t>
        bounds;  // of the stages: first layer of each, then their number; empty: uniform
    std::vector<GroupRule> groups;
    Trace* trace = nullptr;  // what a step does is recorded there; must outlive the strategy
  };

  struct Groups {
    Communicator& world;
    Communicator& data;
    Communicator& pipeline;
  };

  /// Builds the layers of this rank, without values. Architecture and groups must outlive it.
  /// Throws: PluginError for layers that do not fit together, ConfigError for more stages than
  /// layers or a schedule that does not fit.
  Strategy(const Architecture& architecture, const Groups& groups, const Options& options,
           std::unique_ptr<Optimizer> optimizer);
  /// Without a pipeline: every rank has all layers.
  Strategy(const Architecture& architecture, Communicator& data, const Options& options,
           std::unique_ptr<Optimizer> optimizer);

  /// Metrics of evaluations beside those of the architecture; the same on every rank.
  void add_metrics(std::vector<std::unique_ptr<Metric>> metrics);

  /// Forward and backward of this rank's microbatches of `step` (empty ones are passed over);
  /// afterwards the gradients in the store are those of the global mean loss. `votes`: added up
  /// over the ranks on the way.
  StepLoss forward_backward(const std::vector<Batch>& microbatches, int64_t step,
                            std::span<double> votes = {});

  /// Norm of the whole gradient, before clipping. The next update() scales the gradient so that its
  /// norm is at most `clip_norm`; 0: no clipping.
  double clip_gradients(double clip_norm);

  /// Optimizer, and statistics of the step.
  void update(double learning_rate);
  /// Instead of update(): forgets the step.
  void skip();

  /// In the next forward_backward() layers are asked for gradients inside of them.
  void watch_gradients() { watches_gradients_ = true; }
  /// After it: their norms at each place by "layer.name"; empty when no layer says any.
  std::map<std::string, std::vector<double>> take_gradient_norms();

  /// Of a model that carries its state: nothing is remembered; an epoch begins. Not collective.
  void forget_sequences() { carried_.clear(); }

  /// Until every rank has all values of the last update: who reads them otherwise than through this
  /// class waits first.
  void await_values() { gatherer_.await_all(); }

  /// With a weight average (optim/weight_average.h): puts it in the place of the weights, for
  /// evaluations and checkpoints, and back. In between nothing is trained. Collective. Without one:
  /// nothing happens.
  void show_average();
  void show_weights();

  /// Loss and metrics of a split. `next` gives this rank's batches one after the other, which lie
  /// in sample order by rank, then nothing.
  EvaluationResult evaluate(const std::function<std::optional<Batch>()>& next);

  /// The model as a function, for samplers; lives as long as the strategy.
  Predictor& predictor() { return *predictor_; }

  /// Whole fp32 tensors on the host that this rank is to write into a checkpoint: every parameter
  /// and buffer, and the optimizer's states as `<parameter>.<state>`, each on one rank. While the
  /// average is shown, the weights are the state `raw` in its place. With `buffers` all lie there
  /// and stay as they are; without, some are views of live ones: write them before the next update.
  struct NamedTensor {
    std::string component, name;
    at::Tensor value;
  };
  std::vector<NamedTensor> collect_weights(HostBuffers* buffers = nullptr);
  std::vector<NamedTensor> collect_optimizer_state(HostBuffers* buffers = nullptr);
  /// What layers of this rank remember, of a model that carries its state, by the names of
  /// checkpoints (carried_state.h). Not collective.
  std::vector<NamedTensor> collect_sequence_state(HostBuffers* buffers = nullptr) const;
  /// One that was stored, if a layer of this rank has it; `read` gives its value. Not collective.
  void restore_sequence_state(const CarriedName& name, const std::function<at::Tensor()>& read);
  /// The optimizer's states that this rank owns a part of. `read(name, first, into)` fills a flat
  /// tensor with elements [first, ...) of the stored one. With a weight average, the weights that
  /// were read before are it, and the weights are its state `raw`. Collective.
  void restore_optimizer_state(const std::function<void(const std::string& name, int64_t first,
                                                        const at::Tensor& into)>& read);

  /// What parameters, gradients and the optimizer's state of this rank take.
  MemoryPlan memory_plan() const;

  ParameterStore& parameters() { return store_; }
  FlatOptimizer& optimizer() { return optimizer_; }
  const ModelStages& model() const { return model_; }
  /// The sum of a parameter's gradients over all ranks, after forward_backward. Not collective;
  /// requires zero 0 or one rank.
  at::Tensor gradient(const StoredParameter& parameter) const;

 private:
  Strategy(const Architecture& architecture, const Groups& groups, const Options& options,
           std::unique_ptr<Optimizer> optimizer, std::unique_ptr<Communicator> own_pipeline);

  void expect_tied_parts();
  const Schedule& schedule(size_t num_microbatches);
  StepContext context(Mode mode, int64_t step, int stage);
  PipelineRunner::Step forward_only(Mode mode);
  Activations predict(const Batch& batch, SequenceState* state);
  double count(const Batch& batch, const std::string& loss) const;
  void sum_losses(StepLoss& loss, std::span<double> votes, std::string_view what);
  StepLoss count_losses(const std::vector<Batch>& microbatches, std::span<double> votes);
  void gather_statistics();
  std::string stored_state_name(size_t state) const;
  void exchange_average();
  std::vector<at::Tensor> gather_states(const at::Tensor& state, const std::string& what);
  std::map<std::string, double> metric_results();

  class StagePredictor;

  std::unique_ptr<Communicator> own_pipeline_;  // where none was given
  std::unique_ptr<Loss> loss_;
  PluginCode loss_code_;
  std::vector<std::string> loss_names_;  // "loss" first
  std::vector<std::unique_ptr<Metric>> metrics_;
  Communicator &world_, &data_, &pipeline_;
  Options options_;
  std::unique_ptr<Optimizer> made_optimizer_;  // until optimizer_ takes it
  ModelStages model_;
  ParameterStore store_;
  GradientReducer reducer_;
  FlatOptimizer optimizer_;
  ValueGatherer gatherer_;
  ShardCollector collector_;
  TieExchange ties_;
  PipelineRunner runner_;
  std::map<int, std::vector<std::vector<size_t>>>
      buckets_of_layer_;                  // [stage][layer] that it reads
  std::map<size_t, Schedule> schedules_;  // by number of microbatches
  std::unique_ptr<Predictor> predictor_;
  StatisticSums statistics_;
  bool watches_gradients_ = false;
  GradientSums gradients_;
  bool carries_state_;
  CarriedState carried_;
  double gradient_scale_ = 1;
  bool shows_average_ = false;
};

}  // namespace triga
