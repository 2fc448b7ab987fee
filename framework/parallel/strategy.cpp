#include "parallel/strategy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "base/plugin_call.h"
#include "base/trace.h"
#include "comm/local_communicator.h"
#include "optim/gradient_norm.h"
#include "parallel/on_device.h"
#include "parallel/pipeline/wire.h"
#include "parameters/declarations.h"

namespace triga {
namespace {

std::vector<std::string> names_of(const Loss& loss) {
  std::vector<std::string> names = loss.auxiliary_names();
  names.insert(names.begin(), "loss");
  return names;
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

/// Which buckets hold what each layer reads, by stage.
std::map<int, std::vector<std::vector<size_t>>> buckets_by_layer(const ModelStages& model,
                                                                 const ParameterStore& store) {
  std::map<int, std::vector<std::vector<size_t>>> buckets;
  for (const auto& [number, stage] : model.stages())
    for (const Stage::BuiltLayer& built : stage->layers()) {
      std::set<size_t> of_layer;
      for (const Parameter& parameter : built.layer->parameters())
        if (const int bucket = store.find(parameter.spec().name)->bucket; bucket >= 0)
          of_layer.insert(static_cast<size_t>(bucket));
      buckets[number].emplace_back(of_layer.begin(), of_layer.end());
    }
  return buckets;
}

PluginCode code_of_metric(const Metric& metric) {
  return code_of("metric '" + metric.name() + "'", metric);
}

ModelStages cut(const Architecture& architecture, const Loss& loss,
                const Strategy::Options& options, const Communicator& pipeline) {
  const auto num_stages = static_cast<size_t>(options.schedule.num_stages(pipeline.size()));
  const std::vector<size_t> bounds =
      options.bounds.empty() ? uniform_bounds(layers_of(architecture).size(), num_stages)
                             : options.bounds;
  const Schedule any = options.schedule.schedule(pipeline.size(), 1);
  return {architecture, loss, bounds, any.rank_of_stage, pipeline.rank()};
}

StoreOptions store_options(const Strategy::Options& options, const ModelStages& model,
                           const Communicator& data, const Optimizer& optimizer) {
  StoreOptions store;
  store.bucket_bytes = options.bucket_bytes;
  store.num_parts = data.size();
  store.own_part = data.rank();
  store.is_sharded = options.zero > 0;
  store.whole_parameters = optimizer.needs_whole_parameters();
  store.has_gradients = options.zero < 2;
  store.compute_type = options.compute_type;
  store.device = data.device();
  store.sharing = model.sharing();
  store.groups = options.groups;
  return store;
}

}  // namespace

/// The model as a function, on whichever ranks its stages are.
class Strategy::StagePredictor final : public Predictor {
 public:
  explicit StagePredictor(Strategy& strategy) : strategy_(strategy) {}
  Activations predict(const Batch& batch, SequenceState* state) override {
    return strategy_.predict(batch, state);
  }

 private:
  Strategy& strategy_;
};

Strategy::Strategy(const Architecture& architecture, const Groups& groups, const Options& options,
                   std::unique_ptr<Optimizer> optimizer)
    : Strategy(architecture, groups, options, std::move(optimizer), nullptr) {}

Strategy::Strategy(const Architecture& architecture, Communicator& data, const Options& options,
                   std::unique_ptr<Optimizer> optimizer)
    : Strategy(architecture, {data, data, data}, options, std::move(optimizer),
               make_single_communicator()) {}

Strategy::Strategy(const Architecture& architecture, const Groups& groups, const Options& options,
                   std::unique_ptr<Optimizer> optimizer, std::unique_ptr<Communicator> own_pipeline)
    : own_pipeline_(std::move(own_pipeline)),
      loss_(architecture.loss()),
      loss_code_(code_of("loss", *loss_)),
      loss_names_(names_of(*loss_)),
      metrics_(architecture.metrics()),
      world_(groups.world),
      data_(groups.data),
      pipeline_(own_pipeline_ ? *own_pipeline_ : groups.pipeline),
      options_(options),
      made_optimizer_(std::move(optimizer)),
      model_(cut(architecture, *loss_, options, pipeline_)),
      store_(model_.owned_layers(), store_options(options, model_, data_, *made_optimizer_),
             [this](int64_t numel, at::ScalarType type) { return data_.allocate(numel, type); }),
      reducer_(store_, data_, options.zero),
      optimizer_(
          std::move(made_optimizer_), store_,
          [this](size_t bucket, FlatRange range) { return reducer_.gradients(bucket, range); }),
      gatherer_(store_, data_),
      collector_(store_, data_),
      ties_(model_, store_, pipeline_),
      runner_(model_.stages(), model_.flow(), model_.rank_of_stage(), pipeline_),
      buckets_of_layer_(buckets_by_layer(model_, store_)),
      predictor_(std::make_unique<StagePredictor>(*this)),
      carries_state_(architecture.carries_state()) {
  expect_tied_parts();
}

void Strategy::add_metrics(std::vector<std::unique_ptr<Metric>> metrics) {
  for (std::unique_ptr<Metric>& metric : metrics) metrics_.push_back(std::move(metric));
}

/// Recomputed layers go backward one by one, so each brings its part of a shared parameter's
/// gradient.
void Strategy::expect_tied_parts() {
  if (options_.recompute != Recompute::kFull) return;
  for (const auto& [number, stage] : model_.stages()) {
    std::map<std::string, int> num_layers;
    for (const Stage::BuiltLayer& built : stage->layers())
      for (const Parameter& parameter : built.layer->parameters())
        ++num_layers[parameter.spec().name];
    for (size_t i = 0; i < store_.parameters().size(); ++i)
      if (const auto found = num_layers.find(store_.parameters()[i].name);
          found != num_layers.end())
        reducer_.expect_parts(number, i, found->second);
  }
}

const Schedule& Strategy::schedule(size_t num_microbatches) {
  const auto [place, is_new] = schedules_.try_emplace(num_microbatches);
  if (is_new)
    place->second =
        options_.schedule.schedule(pipeline_.size(), static_cast<int>(num_microbatches));
  return place->second;
}

StepContext Strategy::context(Mode mode, int64_t step, int stage) {
  StepContext context;
  context.mode = mode;
  context.seed = options_.seed;
  context.step = step;
  context.trace = options_.trace;
  context.before_layer = [this, &buckets = buckets_of_layer_.at(stage)](size_t layer) {
    world_.progress().move();
    for (const size_t bucket : buckets[layer]) {
      if (gatherer_.is_here(bucket)) continue;
      const TraceSpan span(options_.trace, TraceKind::kWait, "values");
      gatherer_.await(bucket);
    }
  };
  if (mode == Mode::kTrain) {
    context.statistics = &statistics_;
    if (watches_gradients_) context.gradients = &gradients_;
    context.recompute = options_.recompute;
  }
  return context;
}

void Strategy::sum_losses(StepLoss& loss, std::span<double> votes, std::string_view what) {
  std::vector<double> values(votes.begin(), votes.end());
  for (const auto& [name, total] : loss.totals)
    values.insert(values.end(), {total.sum, total.count});
  world_.all_reduce_values(values, ReduceOp::kSum, what);
  std::copy_n(values.begin(), votes.size(), votes.begin());
  size_t i = votes.size();
  for (auto& [name, total] : loss.totals) {
    total.sum = values[i++];
    total.count = values[i++];
  }
}

double Strategy::count(const Batch& batch, const std::string& loss) const {
  return PluginCall("count", loss_code_).run([&] { return loss_->count(batch, loss); });
}

StepLoss Strategy::count_losses(const std::vector<Batch>& microbatches, std::span<double> votes) {
  StepLoss loss;
  for (const std::string& name : loss_names_) {
    LossTotal& total = loss.totals[name];
    if (pipeline_.rank() > 0) continue;  // the ranks of a pipeline have the same microbatches
    for (const Batch& batch : microbatches)
      if (batch.num_samples > 0) total.count += count(batch, name);
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
  std::vector<Batch> batches;
  for (const Batch& batch : microbatches) batches.push_back(batch_on_device(batch, data_.device()));
  std::vector<std::pair<std::string, at::Tensor>> sums;  // read when the device has all to do
  PipelineRunner::Step todo;
  todo.microbatches = &batches;
  todo.context = [&](int stage) { return context(Mode::kTrain, step, stage); };
  todo.scale = scale;
  todo.trace = options_.trace;
  carried_.drop();  // of a step that nobody counted or skipped
  if (carries_state_)
    todo.sequence_state = [&](const Batch& batch) { return carried_.begin(batch); };
  todo.forward_done = [&](const StageRun& run, const Batch&, int) {
    for (const LossTerm& term : run.losses) sums.emplace_back(term.name, term.sum.detach());
  };
  todo.begin_backward = [&](int stage, bool is_last) { reducer_.begin_pass(stage, is_last); };
  todo.end_backward = [&] { reducer_.end_pass(); };
  reducer_.begin_step();
  runner_.run(schedule(batches.size()), todo);
  {
    const TraceSpan span(options_.trace, TraceKind::kWait, "gradients");
    reducer_.finish();
    ties_.sum(reducer_);
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
  for (size_t i = 0; i < store_.buckets().size(); ++i) {
    const Bucket& bucket = store_.buckets()[i];
    const std::vector<int> owners = model_.ranks_of(bucket.sharing);
    if (owners.empty() || owners.front() == pipeline_.rank())
      parts.push_back(reducer_.gradients(i, store_.part(bucket)));
  }
  double sum = sum_of_squares(parts);
  if (world_.size() > 1)
    world_.all_reduce_values({&sum, 1}, ReduceOp::kSum, "norm of the gradient");
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
  for (const auto& [number, stage] : model_.stages()) stage->apply_statistics(statistics_.sums());
  statistics_.clear();
  carried_.keep();
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
  carried_.drop();
}

std::map<std::string, std::vector<double>> Strategy::take_gradient_norms() {
  watches_gradients_ = false;
  return gradients_.take_norms(world_);
}

/// Every rank's state of a metric, by rank: broadcast one after the other, each with its own shape.
std::vector<at::Tensor> Strategy::gather_states(const at::Tensor& state, const std::string& what) {
  const Activations mine = {{"state", state}};
  const std::vector<std::string> names = {"state"};
  std::vector<at::Tensor> states;
  for (int root = 0; root < data_.size(); ++root) {
    at::Tensor header = root == data_.rank() ? wire_header(mine, names)
                                             : at::zeros({wire_header_size(1)}, at::kLong);
    data_.broadcast(header, root, what).synchronize();
    at::Tensor bytes = root == data_.rank() ? wire_pack(mine, names, header)
                                            : at::empty({wire_bytes(header)}, at::kByte);
    data_.broadcast(bytes, root, what).synchronize();
    states.push_back(wire_unpack(bytes, names, header)["state"]);
  }
  return states;
}

/// Of the rank with the last stage, for all.
std::map<std::string, double> Strategy::metric_results() {
  std::vector<double> values;
  for (const auto& metric : metrics_) {
    double value = 0;
    if (model_.has_last_stage()) {
      const PluginCode code = code_of_metric(*metric);
      const at::Tensor state = PluginCall("state", code).run([&] { return metric->state().cpu(); });
      const std::vector<at::Tensor> states = gather_states(state, "metric " + metric->name());
      value = PluginCall("merge", code).run([&] {
        metric->reset();
        for (const at::Tensor& one : states) metric->merge(one);
        return metric->result();
      });
    }
    values.push_back(value);
  }
  if (pipeline_.size() > 1 && !values.empty())
    pipeline_.all_reduce_values(values, ReduceOp::kSum, "metrics");
  std::map<std::string, double> results;
  for (size_t i = 0; i < metrics_.size(); ++i) results[metrics_[i]->name()] = values[i];
  return results;
}

PipelineRunner::Step Strategy::forward_only(Mode mode) {
  PipelineRunner::Step step;
  step.context = [this, mode](int stage) { return context(mode, 0, stage); };
  return step;
}

EvaluationResult Strategy::evaluate(const std::function<std::optional<Batch>()>& next) {
  const c10::AutoGradMode no_grad(false);
  EvaluationResult result;
  for (const std::string& name : loss_names_) result.loss.totals[name] = {};
  std::vector<PluginCode> metric_codes;
  for (const auto& metric : metrics_) {
    metric_codes.push_back(code_of_metric(*metric));
    PluginCall("reset", metric_codes.back()).run([&] { metric->reset(); });
  }
  PipelineRunner::Step step = forward_only(Mode::kEvaluate);
  CarriedState carried;  // training's own stays as it is
  if (carries_state_)
    step.sequence_state = [&](const Batch& batch) { return carried.go_on(batch); };
  const int last_stage = static_cast<int>(model_.flow().size()) - 1;
  step.forward_done = [&](const StageRun& run, const Batch& batch, int stage) {
    for (const LossTerm& term : run.losses) {
      LossTotal& total = result.loss.totals.at(term.name);
      total.sum += term.sum.item<double>();
      total.count += count(batch, term.name);
    }
    if (stage == last_stage)
      for (size_t i = 0; i < metrics_.size(); ++i)
        PluginCall("update", metric_codes[i]).run([&] { metrics_[i]->update(batch, run.outputs); });
  };
  // As many at a time as there are ranks in the pipeline, so that none waits for all others.
  for (bool is_over = false; !is_over;) {
    std::vector<Batch> batches;
    while (!is_over && static_cast<int>(batches.size()) < pipeline_.size()) {
      const std::optional<Batch> batch = next();
      if (batch)
        batches.push_back(batch_on_device(*batch, data_.device()));
      else
        is_over = true;
    }
    if (batches.empty()) break;
    step.microbatches = &batches;
    runner_.run(forward_schedule(model_.rank_of_stage(), pipeline_.size(),
                                 static_cast<int>(batches.size())),
                step);
  }
  sum_losses(result.loss, {}, "loss of the evaluation");
  result.metrics = metric_results();
  return result;
}

/// Every rank of the pipeline calls it and gets the outputs.
Activations Strategy::predict(const Batch& batch, SequenceState* state) {
  const c10::AutoGradMode no_grad(false);
  PipelineRunner::Step step = forward_only(Mode::kGenerate);
  step.context = [this, state](int stage) {
    StepContext generation = context(Mode::kGenerate, 0, stage);
    generation.sequence_state = state;
    return generation;
  };
  std::vector<Batch> batches = {batch_on_device(batch, data_.device())};
  batches[0].num_samples = std::max<int64_t>(1, batches[0].num_samples);  // samplers may not count
  step.microbatches = &batches;
  Activations outputs;
  const int last_stage = static_cast<int>(model_.flow().size()) - 1;
  step.forward_done = [&](const StageRun& run, const Batch&, int stage) {
    if (stage == last_stage) outputs = run.outputs;
  };
  runner_.run(forward_schedule(model_.rank_of_stage(), pipeline_.size(), 1), step);
  if (pipeline_.size() == 1) return outputs;
  const std::vector<std::string>& names = model_.flow().back().outputs;
  const int root = model_.rank_of_last_stage();
  at::Tensor header = model_.has_last_stage()
                          ? wire_header(outputs, names)
                          : at::empty({wire_header_size(names.size())}, at::kLong);
  pipeline_.broadcast(header, root, "header of the outputs").synchronize();
  const at::Tensor bytes =
      model_.has_last_stage()
          ? wire_pack(outputs, names, header)
          : at::empty({wire_bytes(header)},
                      at::TensorOptions().dtype(at::kByte).device(data_.device()));
  pipeline_.broadcast(bytes, root, "outputs").wait();
  return wire_unpack(bytes, names, header);
}

}  // namespace triga
