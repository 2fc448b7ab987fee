#include "parallel/strategy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "optim/gradient_norm.h"
#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/wire.h"

namespace triga {
namespace {

/// Runs the whole model without gradients.
class StagePredictor final : public Predictor {
 public:
  StagePredictor(const Stage& stage, uint64_t seed) : stage_(stage), seed_(seed) {}
  Activations predict(const Batch& batch, SequenceState* state) override {
    const c10::AutoGradMode no_grad(false);
    StepContext step;
    step.mode = Mode::kGenerate;
    step.seed = seed_;
    step.sequence_state = state;
    return stage_.forward({}, batch, step).outputs;
  }

 private:
  const Stage& stage_;
  uint64_t seed_;
};

std::vector<LayerSpec> checked_layers(const Architecture& architecture) {
  std::vector<LayerSpec> layers = architecture.layers();
  check_layers(layers);
  return layers;
}

std::vector<std::string> names_of(const Loss& loss) {
  std::vector<std::string> names = loss.auxiliary_names();
  names.insert(names.begin(), "loss");
  return names;
}

std::vector<ParameterStore::OwnedLayer> owned_layers(const Stage& stage) {
  std::vector<ParameterStore::OwnedLayer> owned;
  for (const Stage::BuiltLayer& built : stage.layers())
    owned.push_back({built.spec, built.layer.get()});
  return owned;
}

/// A text that says which statistics a rank has, and in which shape: what ranks compare before they
/// add them up.
std::string describe_statistics(StatisticSums& statistics) {
  std::string text;
  for (const auto& [key, total] : statistics.sums()) {
    text += key.first + '\t' + key.second;
    for (int64_t size : total.sum.sizes()) text += fmt::format("\t{}", size);
    text += '\n';
  }
  return text;
}

/// Adds a zero for each statistic that another rank has and this one has not.
void add_missing_statistics(StatisticSums& statistics, const std::string& description) {
  std::istringstream lines(description);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string layer, name, size;
    std::getline(fields, layer, '\t');
    std::getline(fields, name, '\t');
    std::vector<int64_t> sizes;
    while (std::getline(fields, size, '\t')) sizes.push_back(std::stoll(size));
    StatisticSums::Sum& sum = statistics.sums()[{layer, name}];
    if (!sum.sum.defined()) sum.sum = at::zeros(sizes, at::kDouble);
  }
}

}  // namespace

Strategy::Strategy(const Architecture& architecture, Communicator& data, const Options& options,
                   std::unique_ptr<Optimizer> optimizer)
    : specs_(checked_layers(architecture)),
      loss_(architecture.loss()),
      loss_names_(names_of(*loss_)),
      metrics_(architecture.metrics()),
      data_(data),
      options_(options),
      stage_(specs_, 0, specs_.size(), *loss_),
      store_(owned_layers(stage_), options.store,
             [&data](int64_t numel) { return data.allocate(numel, at::kFloat); }),
      reducer_(store_, data),
      optimizer_(std::move(optimizer), store_),
      predictor_(std::make_unique<StagePredictor>(stage_, options.seed)) {}

void Strategy::sum_losses(StepLoss& loss, std::span<double> votes, std::string_view what) {
  std::vector<double> values(votes.begin(), votes.end());
  for (const auto& [name, total] : loss.totals)
    values.insert(values.end(), {total.sum, total.count});
  data_.all_reduce_values(values, ReduceOp::kSum, what);
  std::copy_n(values.begin(), votes.size(), votes.begin());
  size_t i = votes.size();
  for (auto& [name, total] : loss.totals) {
    total.sum = values[i++];
    total.count = values[i++];
  }
}

StepLoss Strategy::count_losses(const std::vector<Batch>& microbatches, std::span<double> votes) {
  StepLoss loss;
  for (const std::string& name : loss_names_) {
    LossTotal& total = loss.totals[name];
    for (const Batch& batch : microbatches)
      if (batch.num_samples > 0) total.count += loss_->count(batch, name);
  }
  sum_losses(loss, votes, "counts of the step");
  return loss;
}

StepLoss Strategy::forward_backward(const std::vector<Batch>& microbatches, int64_t step,
                                    std::span<double> votes) {
  const StepLoss global = count_losses(microbatches, votes);
  const auto scale = [&](const std::string& name) {
    const double count = global.totals.at(name).count;
    return count > 0 ? 1 / count : 0;
  };
  StepContext context;
  context.seed = options_.seed;
  context.step = step;
  context.statistics = &statistics_;
  store_.zero_gradients();
  reducer_.begin_step();
  StepLoss loss;
  for (const std::string& name : loss_names_) loss.totals[name] = {};
  std::vector<const Batch*> mine;
  for (const Batch& batch : microbatches)
    if (batch.num_samples > 0) mine.push_back(&batch);
  for (const Batch* batch : mine) {
    StageRun run = stage_.forward({}, *batch, context);
    for (const LossTerm& term : run.losses)
      loss.totals.at(term.name).sum += term.sum.item<double>();
    if (batch == mine.back()) reducer_.expect_last_backward();
    stage_.backward(std::move(run), {}, scale);
  }
  reducer_.finish();
  sum_losses(loss, {}, "loss of the step");
  for (auto& [name, total] : loss.totals) total.count = global.totals.at(name).count;
  return loss;
}

double Strategy::clip_gradients(double clip_norm) {
  const double norm = std::sqrt(sum_of_squares(store_.flat_gradients()));
  gradient_scale_ = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
  return norm;
}

void Strategy::gather_statistics() {
  // Ranks first agree on whether there is anything to add up: models without statistics pay one
  // small message a step only when they run on several ranks.
  if (data_.size() == 1) return;
  double has_any = statistics_.sums().empty() ? 0 : 1;
  data_.all_reduce_values({&has_any, 1}, ReduceOp::kMax, "statistics of the step");
  if (has_any == 0) return;
  for (const std::string& description :
       data_.all_gather_text(describe_statistics(statistics_), "names of statistics"))
    add_missing_statistics(statistics_, description);
  for (auto& [key, total] : statistics_.sums()) {
    total.sum = total.sum.contiguous();
    data_.all_reduce(total.sum, ReduceOp::kSum, "statistic " + key.second + " of " + key.first)
        .wait();
    data_.all_reduce_values({&total.count, 1}, ReduceOp::kSum, "count of statistic " + key.second);
  }
}

void Strategy::update(double learning_rate) {
  const c10::AutoGradMode no_grad(false);
  gather_statistics();
  stage_.apply_statistics(statistics_.sums());
  statistics_.clear();
  optimizer_.update(learning_rate, gradient_scale_);
}

void Strategy::skip() {
  statistics_.clear();
}

/// Every rank's state of a metric, by rank: broadcast one after the other, each with its own shape.
std::vector<at::Tensor> Strategy::gather_states(const at::Tensor& state, const std::string& what) {
  const Activations mine = {{"state", state}};
  const std::vector<std::string> names = {"state"};
  std::vector<at::Tensor> states;
  for (int root = 0; root < data_.size(); ++root) {
    at::Tensor header =
        root == data_.rank() ? wire_header(mine, names) : at::zeros({kWireHeaderSize}, at::kLong);
    data_.broadcast(header, root, what).synchronize();
    at::Tensor bytes = root == data_.rank() ? wire_pack(mine, names, header)
                                            : at::empty({wire_bytes(header)}, at::kByte);
    data_.broadcast(bytes, root, what).synchronize();
    states.push_back(wire_unpack(bytes, names, header)["state"]);
  }
  return states;
}

EvaluationResult Strategy::evaluate(const std::function<std::optional<Batch>()>& next) {
  const c10::AutoGradMode no_grad(false);
  StepContext context;
  context.mode = Mode::kEvaluate;
  context.seed = options_.seed;
  EvaluationResult result;
  for (const std::string& name : loss_names_) result.loss.totals[name] = {};
  for (const auto& metric : metrics_) metric->reset();
  while (std::optional<Batch> batch = next()) {
    if (batch->num_samples == 0) continue;
    const StageRun run = stage_.forward({}, *batch, context);
    for (const LossTerm& term : run.losses) {
      LossTotal& total = result.loss.totals.at(term.name);
      total.sum += term.sum.item<double>();
      total.count += loss_->count(*batch, term.name);
    }
    for (const auto& metric : metrics_) metric->update(*batch, run.outputs);
  }
  sum_losses(result.loss, {}, "loss of the evaluation");
  for (const auto& metric : metrics_) {
    const std::vector<at::Tensor> states =
        gather_states(metric->state(), "metric " + metric->name());
    metric->reset();
    for (const at::Tensor& state : states) metric->merge(state);
    result.metrics[metric->name()] = metric->result();
  }
  return result;
}

}  // namespace triga
