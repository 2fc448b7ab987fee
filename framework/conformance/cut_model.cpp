#include "conformance/cut_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/wire.h"

namespace triga::conformance {
namespace {

/// What a boundary does to tensors: header and bytes, each copied as a network would.
Activations through_the_wire(const Activations& activations,
                             const std::vector<std::string>& names) {
  const auto header = wire_header(activations, names).clone();
  const auto bytes = wire_pack(activations, names, header).clone();
  return wire_unpack(bytes, names, header);
}

std::string at_step(int64_t step, const std::string& what) {
  return c10::str("step ", step, ": ", what);
}

}  // namespace

CutModel::CutModel(const Architecture& architecture, const std::vector<size_t>& cuts, uint64_t seed)
    : seed_(seed), specs_(architecture.layers()), loss_(architecture.loss()) {
  bounds_ = {0};
  bounds_.insert(bounds_.end(), cuts.begin(), cuts.end());
  bounds_.push_back(specs_.size());
  flow_ = flow_between(specs_, bounds_);
  std::vector<ParameterStore::OwnedLayer> owned;
  for (size_t i = 0; i + 1 < bounds_.size(); ++i) {
    stages_.push_back(
        std::make_unique<Stage>(specs_, bounds_[i], bounds_[i + 1], flow_[i], *loss_));
    for (const auto& built : stages_.back()->layers())
      owned.push_back({built.spec, built.layer.get()});
  }
  states_.resize(stages_.size());
  store_ = std::make_unique<ParameterStore>(
      owned, StoreOptions{},
      [](int64_t numel, at::ScalarType type) { return at::zeros({numel}, type); });
  store_->initialize(seed);
}

CutModel CutModel::everywhere(const Architecture& architecture) {
  std::vector<size_t> cuts;
  for (size_t cut = 1; cut < architecture.layers().size(); ++cut) cuts.push_back(cut);
  return CutModel(architecture, cuts);
}

Record CutModel::train(const std::vector<Batch>& batches, bool carry_state) {
  Record record;
  for (size_t step = 0; step < batches.size(); ++step) {
    auto runs = forward(batches[step], int64_t(step), carry_state, record);
    backward(std::move(runs), batches[step]);
    update(int64_t(step), record);
  }
  return record;
}

double CutModel::loss(const Batch& batch) {
  const c10::AutoGradMode no_grad(false);
  Record record;
  double sum = 0;
  for (const auto& run : forward(batch, 0, false, record))
    for (const auto& term : run.losses)
      sum += term.weight * term.sum.item<double>() / loss_->count(batch, term.name);
  statistics_.clear();
  return sum;
}

void CutModel::compute_gradients(const Batch& batch) {
  Record record;
  backward(forward(batch, 0, false, record), batch);
  statistics_.clear();
}

std::vector<StageRun> CutModel::forward(const Batch& batch) {
  Record record;
  auto runs = forward(batch, 0, false, record);
  statistics_.clear();
  return runs;
}

Activations CutModel::evaluate(const Batch& batch) {
  const c10::AutoGradMode no_grad(false);
  Passing passing;
  Activations outputs;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const StepContext context{.mode = Mode::kEvaluate, .seed = seed_};
    outputs = stages_[i]->forward(inputs_of(i, passing), batch, context).outputs;
    for (const auto& edge : flow_[i].readers)
      passing[{int(i), edge.stage}] = through_the_wire(outputs, edge.names);
  }
  return outputs;
}

Activations CutModel::inputs_of(size_t stage, Passing& passing) const {
  Activations inputs;
  for (const auto& edge : flow_[stage].sources)
    for (auto& [name, tensor] : passing.at({edge.stage, int(stage)})) inputs.set(name, tensor);
  return inputs;
}

Activations CutModel::predict(const Batch& batch, SequenceState* state) {
  const c10::AutoGradMode no_grad(false);
  return stages_.at(0)
      ->forward({}, batch, {.mode = Mode::kGenerate, .seed = seed_, .sequence_state = state})
      .outputs;
}

std::vector<StageRun> CutModel::forward(const Batch& batch, int64_t step, bool carry_state,
                                        Record& record) {
  std::vector<StageRun> runs;
  Passing passing;
  for (size_t i = 0; i < stages_.size(); ++i) {
    auto* state = carry_state ? &states_[i] : nullptr;
    runs.push_back(stages_[i]->forward(inputs_of(i, passing), batch,
                                       {.mode = Mode::kTrain,
                                        .seed = seed_,
                                        .step = step,
                                        .sequence_state = state,
                                        .statistics = &statistics_,
                                        .recompute = recompute_}));
    for (const auto& edge : flow_[i].readers)
      passing[{int(i), edge.stage}] = through_the_wire(runs.back().outputs, edge.names);
  }
  for (const auto& [output, tensor] : runs.back().outputs)
    record[at_step(step, output)] = tensor.detach().clone();
  for (const auto& run : runs)
    for (const auto& term : run.losses) record[at_step(step, term.name)] = term.sum.detach();
  return runs;
}

void CutModel::backward(std::vector<StageRun> runs, const Batch& batch) {
  const auto scale = [&](const std::string& loss) { return 1 / loss_->count(batch, loss); };
  store_->zero_gradients();
  Passing passing;  // from reader to source
  for (size_t i = stages_.size(); i-- > 0;) {
    Activations gradients;
    for (auto edge = flow_[i].readers.rbegin(); edge != flow_[i].readers.rend(); ++edge)
      for (const auto& [name, tensor] : passing.at({edge->stage, int(i)})) {
        if (!tensor.defined()) continue;
        const at::Tensor* sum = gradients.find(name);
        gradients.set(name, sum == nullptr ? tensor : *sum + tensor);
      }
    gradients = stages_[i]->backward(std::move(runs[i]), gradients, scale);
    for (const auto& edge : flow_[i].sources)
      passing[{int(i), edge.stage}] = through_the_wire(gradients, edge.names);
  }
}

void CutModel::update(int64_t step, Record& record) {
  const c10::AutoGradMode no_grad(false);
  for (auto& stage : stages_) stage->apply_statistics(statistics_.sums());
  statistics_.clear();
  for (const auto& parameter : store_->parameters()) {
    record[at_step(step, parameter.name)] = parameter.value.detach().clone();
    if (parameter.is_trainable)
      record[at_step(step, "gradient of " + parameter.name)] = parameter.gradient.clone();
  }
  for (const auto& state : states_)
    for (const auto& entry : state.entries())
      record[at_step(step, "state " + entry.name + " of " + entry.layer)] = entry.value;
  store_->flat_values().sub_(store_->flat_gradients(), /*alpha=*/0.1);
}

namespace {

/// NaN is itself here: what is not finite is the business of one check, not of all.
bool is_same(const at::Tensor& a, const at::Tensor& b) {
  if (a.equal(b)) return true;
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         at::allclose(a, b, /*rtol=*/0, /*atol=*/0, /*equal_nan=*/true);
}

}  // namespace

std::vector<std::string> differences(const Record& a, const Record& b) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || !is_same(tensor, other->second)) names.push_back(name);
  }
  for (const auto& [name, tensor] : b)
    if (!a.contains(name)) names.push_back(name);
  return names;
}

}  // namespace triga::conformance
