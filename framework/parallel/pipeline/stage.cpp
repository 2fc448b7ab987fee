#include "parallel/pipeline/stage.h"

#include <ATen/SequenceNumber.h>
#include <ATen/ops/full_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>

#include <algorithm>
#include <utility>

#include "base/trace.h"
#include "parallel/pipeline/recompute.h"
#include "triga/error.h"

namespace triga {
namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_trainable(const Layer& layer) {
  const std::vector<Parameter>& parameters = layer.parameters();
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const Parameter& parameter) { return parameter.spec().trainable; });
}

/// The context of one layer's forward pass of one microbatch.
class LayerCall final : public LayerContext {
 public:
  /// `losses`: where losses of the middle go; null: this is a part of a layer, which adds nothing.
  LayerCall(const Stage::BuiltLayer& layer, const Batch& batch, const StepContext& step,
            const std::vector<std::string>& auxiliary_names, std::vector<LossTerm>* losses)
      : built_(layer),
        layer_(layer.spec->name),
        batch_(batch),
        step_(step),
        auxiliary_names_(auxiliary_names),
        losses_(losses) {}

  Mode mode() const override { return step_.mode; }
  const Batch& batch() const override { return batch_; }
  RandomKey random_key(std::string_view call_site) const override {
    return RandomKey(step_.seed)
        .with(static_cast<uint64_t>(step_.step))
        .with(layer_)
        .with(call_site);
  }
  SequenceState* sequence_state() override { return step_.sequence_state; }
  void add_statistic(std::string_view name, const at::Tensor& sum, double count) override {
    check_is_whole("statistic", name);
    if (step_.mode == Mode::kTrain && step_.statistics != nullptr)
      step_.statistics->add(layer_, name, sum, count);
  }
  void add_loss(std::string_view name, const at::Tensor& sum, double weight) override {
    TRIGA_CHECK(contains(auxiliary_names_, name), "layer '", layer_, "' adds a loss '", name,
                "' that Loss::auxiliary_names() does not list");
    check_is_whole("loss", name);
    losses_->push_back({std::string(name), sum, weight});
  }
  GradientReport gradient_report() override {
    if (step_.mode != Mode::kTrain || step_.gradients == nullptr) return nullptr;
    return
        [sums = step_.gradients, layer = layer_](std::string_view name, const at::Tensor& squares) {
          sums->add(layer, name, squares);
        };
  }
  std::vector<at::Tensor> recompute(const Part& function,
                                    const std::vector<at::Tensor>& inputs) override {
    // A second run comes when this call is over: each run gets a call of its own.
    const auto run = [function, &layer = built_, &batch = batch_, step = step_,
                      names = auxiliary_names_](const Tensors& tensors) {
      StepContext inner = step;
      inner.recompute = Recompute::kNone;
      LayerCall call(layer, batch, inner, names, nullptr);
      return function(tensors, call);
    };
    const bool is_recomputed = step_.recompute == Recompute::kSelective &&
                               step_.mode == Mode::kTrain && step_.sequence_state == nullptr;
    return is_recomputed ? recomputed(run, inputs, has_trainable(*built_.layer)) : run(inputs);
  }

 private:
  void check_is_whole(const char* what, std::string_view name) const {
    TRIGA_CHECK(losses_ != nullptr, "layer '", layer_, "' adds the ", what, " '", name,
                "' in a part that may be recomputed (LayerContext::recompute)");
  }

  const Stage::BuiltLayer& built_;
  const std::string& layer_;
  const Batch& batch_;
  const StepContext& step_;
  const std::vector<std::string>& auxiliary_names_;
  std::vector<LossTerm>* losses_;
};

std::string in_quotes(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : "'" + c10::Join("', '", names) + "'";
}

/// Throws: Error, when they are not those that the layer declares.
void check_written(const std::vector<std::string>& declared, const Activations& written) {
  const bool has_all = std::all_of(declared.begin(), declared.end(),
                                   [&](const auto& name) { return written.contains(name); });
  if (has_all && written.size() == declared.size()) return;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : written) names.push_back(name);
  throw Error(c10::str("it wrote ", in_quotes(names), ", and its LayerSpec declares ",
                       in_quotes(declared)));
}

}  // namespace

void StatisticSums::add(const std::string& layer, std::string_view name, const at::Tensor& sum,
                        double count) {
  Sum& total = sums_[{layer, std::string(name)}];
  if (!total.sum.defined())
    total.sum = sum.detach().to(at::kDouble);  // fp64: the order of microbatches hardly shows
  else
    total.sum = total.sum.add(sum.detach().to(at::kDouble));
  total.count += count;
}

namespace {

/// Names that layer `i` reads or writes, or that come from before it, and that no later layer of
/// [.., end) and nobody outside reads any more.
std::vector<std::string> dead_after(const std::vector<LayerSpec>& layers, size_t i, size_t end,
                                    std::vector<std::string> live, const StageFlow& flow) {
  std::erase_if(live, [&](const std::string& name) {
    for (size_t j = i + 1; j < end; ++j) {
      if (contains(layers[j].reads, name)) return true;
      if (contains(layers[j].writes, name)) return false;  // anew
    }
    return contains(flow.outputs, name);
  });
  return live;
}

struct Roots {
  torch::autograd::variable_list tensors, gradients;
};

/// Says that a backward pass has come to a layer, for what may go wrong there.
class EnterLayer final : public torch::autograd::FunctionPreHook {
 public:
  explicit EnterLayer(const PluginCode& code) : code_(code) {}
  torch::autograd::variable_list operator()(
      const torch::autograd::variable_list& gradients) override {
    PluginCall::move_to(code_);
    return gradients;
  }

 private:
  const PluginCode& code_;
};

/// `first_node`: number of the first node of the graph that the layer could make; a tensor that it
/// only passes on is another one's.
void mark_layer(const PluginCode& code, const at::Tensor& result, uint64_t first_node) {
  if (!result.defined() || !result.grad_fn()) return;
  if (result.grad_fn()->sequence_nr() >= first_node)
    result.grad_fn()->add_pre_hook(std::make_unique<EnterLayer>(code));
}

/// A step is trained; what is evaluated or generated has none.
int64_t step_of(const StepContext& context) {
  return context.mode == Mode::kTrain ? context.step : -1;
}
int64_t microbatch_of(const StepContext& context, const Batch& batch) {
  return context.mode == Mode::kTrain ? batch.microbatch : -1;
}

/// Where backward begins: at outputs that got a gradient, and at losses.
Roots roots_of(const StageRun& run, const Activations& grad_outputs, const LossScale& scale) {
  Roots roots;
  for (const auto& [name, tensor] : run.outputs) {
    const at::Tensor* gradient = grad_outputs.find(name);
    if (gradient == nullptr || !gradient->defined() || !tensor.requires_grad()) continue;
    roots.tensors.push_back(tensor);
    roots.gradients.push_back(*gradient);
  }
  for (const LossTerm& term : run.losses) {
    if (!term.sum.requires_grad()) continue;
    roots.tensors.push_back(term.sum);
    roots.gradients.push_back(at::full_like(term.sum, term.weight * scale(term.name)));
  }
  return roots;
}

}  // namespace

Stage::Stage(const std::vector<LayerSpec>& all_layers, size_t begin, size_t end,
             const StageFlow& flow, const Loss& loss)
    : outputs_(flow.outputs),
      loss_(loss),
      loss_code_(code_of("loss", loss)),
      auxiliary_names_(loss.auxiliary_names()),
      is_last_(end == all_layers.size()) {
  TRIGA_CHECK(begin < end && end <= all_layers.size(), "stage [", begin, ", ", end, ")");
  std::vector<std::string> live = flow.inputs;
  for (size_t i = begin; i < end; ++i) {
    auto layer = all_layers[i].build();
    PluginCode code = code_of(c10::str("layer '", all_layers[i].name, "'"), *layer);
    layers_.push_back({&all_layers[i], std::move(layer), std::move(code)});
    for (const std::string& name : all_layers[i].writes)
      if (!contains(live, name)) live.push_back(name);
    dead_after_.push_back(dead_after(all_layers, i, end, live, flow));
    std::erase_if(live,
                  [&](const std::string& name) { return contains(dead_after_.back(), name); });
  }
}

Activations Stage::run_layer(size_t i, const Activations& inputs, const Batch& batch,
                             const StepContext& step, std::vector<LossTerm>& losses) const {
  const LayerSpec& spec = *layers_[i].spec;
  LayerCall call(layers_[i], batch, step, auxiliary_names_, &losses);
  return PluginCall("forward", layers_[i].code, step_of(step), microbatch_of(step, batch)).run([&] {
    Activations written = layers_[i].layer->forward(inputs, call);
    check_written(spec.writes, written);
    return written;
  });
}

// As a function of tensors: the activations that the layer reads, to those that it writes and the
// sums of the losses that it adds.
Activations Stage::run_layer_recomputed(size_t i, const Activations& inputs, const Batch& batch,
                                        const StepContext& step,
                                        std::vector<LossTerm>& losses) const {
  const LayerSpec& spec = *layers_[i].spec;
  Tensors list;
  for (const std::string& name : spec.reads) list.push_back(inputs[name]);
  StepContext inner = step;
  inner.recompute = Recompute::kNone;
  const auto added = std::make_shared<std::vector<LossTerm>>();  // names and weights
  const auto run = [this, i, &spec, &batch, added](const Tensors& tensors,
                                                   const StepContext& context) {
    Activations read;
    for (size_t j = 0; j < tensors.size(); ++j) read.set(spec.reads[j], tensors[j]);
    added->clear();
    const Activations written = run_layer(i, read, batch, context, *added);
    Tensors outputs;
    for (const std::string& name : spec.writes) outputs.push_back(written[name]);
    for (LossTerm& term : *added) outputs.push_back(std::exchange(term.sum, at::Tensor()));
    return outputs;
  };
  const auto is_first = std::make_shared<bool>(true);  // statistics are added once
  const Tensors outputs = recomputed(
      [run, inner, is_first](const Tensors& tensors) {
        StepContext context = inner;
        if (!std::exchange(*is_first, false)) context.statistics = nullptr;
        return run(tensors, context);
      },
      list, has_trainable(*layers_[i].layer));
  Activations written;
  for (size_t j = 0; j < spec.writes.size(); ++j) written.set(spec.writes[j], outputs[j]);
  for (size_t j = 0; j < added->size(); ++j)
    losses.push_back({(*added)[j].name, outputs[spec.writes.size() + j], (*added)[j].weight});
  return written;
}

StageRun Stage::forward(const Activations& inputs, const Batch& batch,
                        const StepContext& step) const {
  StageRun run;
  run.step = step_of(step);
  run.microbatch = microbatch_of(step, batch);
  for (const auto& [name, tensor] : inputs) {
    const bool wants_gradient = step.mode == Mode::kTrain && tensor.requires_grad();
    run.inputs.set(name, tensor.detach().set_requires_grad(wants_gradient));
  }
  const bool recompute = step.recompute == Recompute::kFull && step.mode == Mode::kTrain &&
                         step.sequence_state == nullptr;
  Activations live = run.inputs;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const TraceSpan span(step.trace, TraceKind::kForward, layers_[i].spec->name);
    if (step.before_layer) step.before_layer(i);
    Activations read;
    for (const std::string& name : layers_[i].spec->reads) read.set(name, live[name]);
    const uint64_t first_node = at::sequence_number::peek();
    const size_t num_losses = run.losses.size();
    Activations written = recompute ? run_layer_recomputed(i, read, batch, step, run.losses)
                                    : run_layer(i, read, batch, step, run.losses);
    for (const auto& [name, tensor] : written) mark_layer(layers_[i].code, tensor, first_node);
    for (size_t k = num_losses; k < run.losses.size(); ++k)
      mark_layer(layers_[i].code, run.losses[k].sum, first_node);
    for (auto& [name, tensor] : written) live.set(name, std::move(tensor));
    for (const std::string& name : dead_after_[i]) live.erase(name);
  }
  for (const std::string& name : outputs_) run.outputs.set(name, live[name]);
  if (is_last_ && step.mode != Mode::kGenerate)
    run.losses.push_back({"loss", PluginCall("sum", loss_code_, run.step, run.microbatch).run([&] {
                            return loss_.sum(run.outputs, batch);
                          }),
                          1});
  return run;
}

Activations Stage::backward(StageRun run, const Activations& grad_outputs,
                            const LossScale& scale) const {
  const Roots roots = roots_of(run, grad_outputs, scale);
  if (!roots.tensors.empty())
    PluginCall("backward", last_code(), run.step, run.microbatch).run([&] {
      torch::autograd::backward(roots.tensors, roots.gradients);
    });
  Activations grad_inputs;
  for (const auto& [name, tensor] : run.inputs) grad_inputs.set(name, tensor.grad());
  return grad_inputs;
}

Stage::InputGradients Stage::backward_inputs(StageRun run, const Activations& grad_outputs,
                                             const LossScale& scale) const {
  const Roots roots = roots_of(run, grad_outputs, scale);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : run.inputs)
    if (tensor.requires_grad()) leaves.push_back(tensor);
  InputGradients result;
  result.step = run.step;
  result.microbatch = run.microbatch;
  const auto gradients = PluginCall("backward", last_code(), run.step, run.microbatch).run([&] {
    return result.rest.run_inputs(roots.tensors, roots.gradients, leaves);
  });
  size_t next = 0;
  for (const auto& [name, tensor] : run.inputs)
    result.gradients.set(name, tensor.requires_grad() ? gradients[next++] : at::Tensor());
  return result;
}

void Stage::backward_weights(InputGradients& first) const {
  PluginCall("backward", last_code(), first.step, first.microbatch).run([&] {
    first.rest.run_weights();
  });
}

void Stage::apply_statistics(const std::map<StatisticSums::Key, StatisticSums::Sum>& totals) {
  for (BuiltLayer& built : layers_) {
    std::vector<StepStatistic> of_layer;
    for (const auto& [key, total] : totals)
      if (key.first == built.spec->name)
        of_layer.push_back({key.second, total.sum.to(at::kFloat), total.count});
    if (of_layer.empty()) continue;
    PluginCall("apply_statistics", built.code).run([&] {
      built.layer->apply_statistics(of_layer);
    });
  }
}

}  // namespace triga
