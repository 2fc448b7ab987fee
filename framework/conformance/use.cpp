#include "conformance/use.h"

#include <ATen/ATen.h>

#include <cmath>

#include "conformance/cut_model.h"

namespace triga::conformance {
namespace {

void expect_finite(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.isfinite().all().item<bool>()) throw Error(name + " is not finite");
}

}  // namespace

void build_layers(const Architecture& model) {
  for (const LayerSpec& spec : model.layers()) {
    const auto layer = spec.build();
    for (const Parameter& parameter : layer->parameters())
      for (const int64_t extent : parameter.spec().shape)
        if (extent < 1)
          throw Error(c10::str("parameter ", parameter.spec().name, " has an extent of ", extent));
  }
}

void use_architecture(const Architecture& model, const Subject& subject) {
  build_layers(model);
  CutModel cut(model, {});
  for (const auto& [name, tensor] : cut.train({subject.batch(model, 0, 2)}, false))
    expect_finite(name, tensor);
  for (const auto& [name, tensor] : cut.evaluate(subject.evaluation_batch(model, 2, 2)))
    expect_finite(name + " of an evaluation", tensor);
}

void use_dataset(const Dataset& dataset) {
  if (dataset.size() < 1) throw Error("it has no samples");
  for (const int64_t index : {int64_t{0}, dataset.size() - 1}) {
    if (dataset.get(index).size() == 0) throw Error(c10::str("sample ", index, " is empty"));
    if (dataset.length(index) < 1) throw Error(c10::str("sample ", index, " has no length"));
  }
}

void use_tokenizer(const Tokenizer& tokenizer) {
  const auto ids = tokenizer.encode("The quick brown fox, 42 times.\n");
  tokenizer.decode(ids);
  for (const int32_t id : ids)
    if (id < 0 || id >= tokenizer.vocab_size())
      throw Error(c10::str("the id ", id, " lies outside of the vocabulary"));
}

void use_optimizer(Optimizer& optimizer) {
  const at::Tensor whole = at::ones({4, 4}, at::kFloat);
  OptimizerSlice slice;
  slice.parameter = optimizer.needs_whole_parameters() ? whole : whole.flatten();
  slice.gradient = at::empty_like(slice.parameter);
  fill_normal(slice.gradient, RandomKey(31).with("gradient"), 0, 1);
  for (size_t i = 0; i < optimizer.state_names().size(); ++i)
    slice.states.push_back(at::zeros_like(slice.parameter));
  for (int64_t step = 1; step <= 3; ++step) {
    optimizer.update({&slice, 1}, 0.01, step, 1);
    expect_finite(c10::str("a parameter after update ", step), slice.parameter);
  }
}

void use_schedule(const LearningRateSchedule& schedule) {
  for (const int64_t step : {0, 1, 99, 100, 101}) {
    const double factor = schedule.factor(step);
    if (!std::isfinite(factor) || factor < 0)
      throw Error(c10::str("the factor of step ", step, " is ", factor));
  }
}

double use_metric(Metric& metric, const Subject& subject) {
  const auto model = subject.make();
  CutModel cut(*model, {});
  const Batch batch = subject.evaluation_batch(*model, 0, 3);
  metric.reset();
  metric.update(batch, cut.evaluate(batch));
  metric.merge(metric.state());
  return metric.result();
}

}  // namespace triga::conformance
