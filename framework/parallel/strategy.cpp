#include "parallel/strategy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "base/trace.h"
#include "optim/gradient_norm.h"
#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/wire.h"

namespace triga {
namespace {

/// The batch where the model is. From pinned memory the copy goes on while the host does.
Batch on_device(const Batch& batch, at::Device device) {
  if (device.is_cpu()) return batch;
  Batch moved = batch;
  for (auto& [name, tensor] : moved.fields) tensor = tensor.to(device, /*non_blocking=*/true);
  return moved;
}

/// Runs the whole model without gradients.
class StagePredictor final : public Predictor {
 public:
  StagePredictor(const Stage& stage, StepContext context, at::Device device)
      : stage_(stage), context_(std::move(context)), device_(device) {}
  Activations predict(const Batch& batch, SequenceState* state) override {
    const c10::AutoGradMode no_grad(false);
    StepContext step = context_;
    step.sequence_state = state;
    return stage_.forward({}, on_device(batch, device_), step).outputs;
  }

 private:
  const Stage& stage_;
  const StepContext context_;
  const at::Device device_;
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
void add_missing_statistics(StatisticSums& statistics, const std::string& description,
                            at::Device device) {
  std::istringstream lines(description);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string layer, name, size;
    std::getline(fields, layer, '\t');
    std::getline(fields, name, '\t');
    std::vector<int64_t> sizes;
    while (std::getline(fields, size, '\t')) sizes.push_back(std::stoll(size));
    StatisticSums::Sum& sum = statistics.sums()[{layer, name}];
    if (!sum.sum.defined())
      sum.sum = at::zeros(sizes, at::TensorOptions().dtype(at::kDouble).device(device));
  }
}

/// Which buckets hold what each layer reads.
std::vector<std::vector<size_t>> buckets_by_layer(const Stage& stage, const ParameterStore& store) {
  std::vector<std::vector<size_t>> buckets;
  for (const Stage::BuiltLayer& built : stage.layers()) {
    std::set<size_t> of_layer;
    for (const Parameter& parameter : built.layer->parameters())
      if (const int bucket = store.find(parameter.spec().name)->bucket; bucket >= 0)
        of_layer.insert(static_cast<size_t>(bucket));
    buckets.emplace_back(of_layer.begin(), of_layer.end());
  }
  return buckets;
}

StoreOptions store_options(const Strategy::Options& options, const Communicator& data,
                           const Optimizer& optimizer) {
  StoreOptions store;
  store.bucket_bytes = options.bucket_bytes;
  store.num_parts = data.size();
  store.own_part = data.rank();
  store.is_sharded = options.zero > 0;
  store.whole_parameters = optimizer.needs_whole_parameters();
  store.has_gradients = options.zero < 2;
  store.compute_type = options.compute_type;
  store.device = data.device();
  store.groups = options.groups;
  return store;
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
      made_optimizer_(std::move(optimizer)),
      stage_(specs_, 0, specs_.size(), *loss_),
      store_(owned_layers(stage_), store_options(options, data, *made_optimizer_),
             [&data](int64_t numel, at::ScalarType type) { return data.allocate(numel, type); }),
      reducer_(store_, data, options.zero),
      optimizer_(
          std::move(made_optimizer_), store_,
          [this](size_t bucket, FlatRange range) { return reducer_.gradients(bucket, range); }),
      gatherer_(store_, data),
      collector_(store_, data),
      buckets_of_layer_(buckets_by_layer(stage_, store_)) {
  expect_tied_parts();
  predictor_ =
      std::make_unique<StagePredictor>(stage_, context(Mode::kGenerate, 0), data_.device());
}

/// Recomputed layers go backward one by one, so each brings its part of a shared parameter's
/// gradient.
void Strategy::expect_tied_parts() {
  if (options_.recompute != Recompute::kFull) return;
  std::map<std::string, int> num_layers;
  for (const Stage::BuiltLayer& built : stage_.layers())
    for (const Parameter& parameter : built.layer->parameters())
      ++num_layers[parameter.spec().name];
  for (size_t i = 0; i < store_.parameters().size(); ++i)
    reducer_.expect_parts(i, num_layers.at(store_.parameters()[i].name));
}

StepContext Strategy::context(Mode mode, int64_t step) {
  StepContext context;
  context.mode = mode;
  context.seed = options_.seed;
  context.step = step;
  context.trace = options_.trace;
  context.before_layer = [this](size_t layer) {
    for (const size_t bucket : buckets_of_layer_[layer]) {
      if (gatherer_.is_here(bucket)) continue;
      const TraceSpan span(options_.trace, TraceKind::kWait, "values");
      gatherer_.await(bucket);
    }
  };
  if (mode == Mode::kTrain) {
    context.statistics = &statistics_;
    context.recompute = options_.recompute;
  }
  return context;
}

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
  const StepContext step_context = context(Mode::kTrain, step);
  int last_round = -1;
  for (size_t i = 0; i < microbatches.size(); ++i)
    if (microbatches[i].num_samples > 0) last_round = static_cast<int>(i);
  reducer_.begin_step(static_cast<int>(microbatches.size()), last_round);
  std::vector<std::pair<std::string, at::Tensor>> sums;  // read when the device has all to do
  for (size_t i = 0; i < microbatches.size(); ++i) {
    reducer_.begin_round(static_cast<int>(i));
    if (microbatches[i].num_samples > 0) {
      const Batch batch = on_device(microbatches[i], data_.device());
      StageRun run = stage_.forward({}, batch, step_context);
      for (const LossTerm& term : run.losses) sums.emplace_back(term.name, term.sum.detach());
      const TraceSpan span(options_.trace, TraceKind::kBackward, "backward");
      stage_.backward(std::move(run), {}, scale);
    }
    reducer_.end_round();
  }
  {
    const TraceSpan span(options_.trace, TraceKind::kWait, "gradients");
    reducer_.finish();
  }
  StepLoss loss;
  for (const std::string& name : loss_names_) loss.totals[name] = {};
  for (const auto& [name, sum] : sums) loss.totals.at(name).sum += sum.item<double>();
  sum_losses(loss, {}, "loss of the step");
  for (auto& [name, total] : loss.totals) total.count = global.totals.at(name).count;
  return loss;
}

// Each rank looks at its part of every bucket. The sums of squares are made in fp64 and the norm is
// rounded to fp32, so that how gradients are cut into buckets and parts hardly ever shows.
double Strategy::clip_gradients(double clip_norm) {
  const TraceSpan span(options_.trace, TraceKind::kOptimizer, "gradient norm");
  std::vector<at::Tensor> parts;
  for (size_t bucket = 0; bucket < store_.buckets().size(); ++bucket)
    parts.push_back(reducer_.gradients(bucket, store_.part(store_.buckets()[bucket])));
  double sum = sum_of_squares(parts);
  if (data_.size() > 1) data_.all_reduce_values({&sum, 1}, ReduceOp::kSum, "norm of the gradient");
  const double norm = static_cast<float>(std::sqrt(sum));
  gradient_scale_ = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
  return norm;
}

at::Tensor Strategy::gradient(const StoredParameter& parameter) const {
  TRIGA_CHECK(options_.zero == 0 || data_.size() == 1, "no rank has the whole gradient");
  return reducer_.gradients(static_cast<size_t>(parameter.bucket), parameter.range())
      .view(parameter.shape);
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
    add_missing_statistics(statistics_, description, data_.device());
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
  const TraceSpan span(options_.trace, TraceKind::kOptimizer, "update");
  optimizer_.begin_step();
  // The next forward pass needs the last buckets first.
  for (size_t bucket = store_.buckets().size(); bucket-- > 0;) {
    gatherer_.await(bucket);  // of a step that was skipped after
    optimizer_.update(bucket, learning_rate, gradient_scale_);
    store_.publish(bucket);
    gatherer_.start(bucket);
  }
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
  const StepContext evaluation = context(Mode::kEvaluate, 0);
  EvaluationResult result;
  for (const std::string& name : loss_names_) result.loss.totals[name] = {};
  for (const auto& metric : metrics_) metric->reset();
  while (const std::optional<Batch> given = next()) {
    if (given->num_samples == 0) continue;
    const Batch batch = on_device(*given, data_.device());
    const StageRun run = stage_.forward({}, batch, evaluation);
    for (const LossTerm& term : run.losses) {
      LossTotal& total = result.loss.totals.at(term.name);
      total.sum += term.sum.item<double>();
      total.count += loss_->count(*given, term.name);
    }
    for (const auto& metric : metrics_) metric->update(batch, run.outputs);
  }
  sum_losses(result.loss, {}, "loss of the evaluation");
  for (const auto& metric : metrics_) {
    const std::vector<at::Tensor> states =
        gather_states(metric->state().cpu(), "metric " + metric->name());
    metric->reset();
    for (const at::Tensor& state : states) metric->merge(state);
    result.metrics[metric->name()] = metric->result();
  }
  return result;
}

std::vector<Strategy::NamedTensor> Strategy::collect_weights() {
  gatherer_.await_all();
  std::vector<NamedTensor> collected;
  if (options_.compute_type != at::kFloat) {
    for (const auto& [parameter, value] :
         collector_.collect(store_.masters(), "weights", /*to_first=*/true))
      collected.push_back({parameter->component, parameter->name, value.cpu()});
  }
  if (data_.rank() != 0) return {};
  for (const StoredParameter& parameter : store_.parameters())
    if (parameter.exact.defined())
      collected.push_back({parameter.component, parameter.name, parameter.exact});
    else if (options_.compute_type == at::kFloat || !parameter.is_trainable)
      collected.push_back(

          {parameter.component, parameter.name, parameter.value.detach().to(at::kCPU, at::kFloat)});
  return collected;
}

std::vector<Strategy::NamedTensor> Strategy::collect_optimizer_state() {
  std::vector<NamedTensor> collected;
  for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
    const std::string& state = optimizer_.state_names()[i];
    for (const auto& [parameter, value] :
         collector_.collect(optimizer_.state(i), state, /*to_first=*/false))
      collected.push_back({parameter->component, parameter->name + "." + state, value.cpu()});
  }
  return collected;
}

void Strategy::restore_optimizer_state(
    const std::function<void(const std::string& name, int64_t first, const at::Tensor& into)>&
        read) {
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!parameter.is_trainable) continue;
    const auto bucket = static_cast<size_t>(parameter.bucket);
    const FlatRange mine = parameter.range().intersect(store_.owned(store_.buckets()[bucket]));
    if (mine.is_empty()) continue;
    for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
      at::Tensor state = store_.owned_view(optimizer_.state(i), bucket, mine);
      const at::Tensor on_host = state.is_cpu() ? state : at::empty({mine.size()}, at::kFloat);
      read(parameter.name + "." + optimizer_.state_names()[i], mine.begin - parameter.offset,
           on_host);
      if (!state.is_cpu()) state.copy_(on_host);
    }
  }
}

MemoryPlan Strategy::memory_plan() const {
  MemoryQuestion question;
  question.num_elements = store_.flat_values().numel();
  question.num_buckets = static_cast<int64_t>(store_.buckets().size());
  for (const Bucket& bucket : store_.buckets())
    question.longest_bucket = std::max(question.longest_bucket, bucket.range.size());
  question.num_ranks = data_.size();
  question.zero = options_.zero;
  question.num_states = static_cast<int>(optimizer_.state_names().size());
  question.compute_type = options_.compute_type;
  return plan_memory(question);
}

}  // namespace triga
