// Everything is fp32, so a difference of two losses is known to about kNoise only; steps are chosen
// so that it is well above that, and what is left of the noise is allowed for. A step that is too
// long for the curvature, or that crosses a kink, disagrees although nothing is wrong: a gradient
// is right when any of the steps agrees.
#include "conformance/gradient_check.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "conformance/cut_model.h"

namespace triga::conformance {
namespace {

constexpr double kNoise = 2e-6;  // of a loss, relative
constexpr double kClear = 5;     // noise that is beyond doubt, in units of kNoise
constexpr int kNumRandom = 3;    // directions

/// A parameter with the gradient that is on trial.
class Trial {
 public:
  Trial(CutModel& model, const Batch& batch, const StoredParameter& parameter)
      : model_(model),
        batch_(batch),
        value_(parameter.value),
        gradient_(parameter.gradient.clone()),
        start_(parameter.value.clone()),
        loss_(std::abs(model.loss(batch))) {}

  /// Whether the slope along `direction` is `expected` up to `tolerance`, for any of some steps; the
  /// longest changes elements by about a tenth. Nothing: too few give more than noise.
  std::optional<bool> agrees(const at::Tensor& direction, double expected, double tolerance) {
    const double size = rms(direction);
    if (size == 0) return std::nullopt;
    const double longest = 0.1 * std::max(rms(start_), 0.02) / size;
    int num_measured = 0;
    std::vector<double> clear;  // slopes whose difference no noise explains
    for (const double step : {longest, longest / 5, longest / 25, longest / 125}) {
      const double noise = kNoise * std::max(loss_, 0.1) / step;
      const bool is_measured = tolerance >= 2 * noise;
      if (!is_measured && clear.size() >= 2) break;  // shorter steps are worse still
      slope_ = (loss_at(direction, step) - loss_at(direction, -step)) / (2 * step);
      const double difference = std::abs(slope_ - expected);
      if (is_measured && difference <= tolerance + noise) return true;
      const bool is_clear = difference > tolerance + kClear * noise;
      if (!is_measured && !is_clear) break;
      if (is_measured) ++num_measured;
      if (is_clear) clear.push_back(slope_);
    }
    if (num_measured >= 2) return false;
    // A gradient that is far too small asks for more than can be measured. It is wrong all the same
    // when two steps give the same slope; a single one may have been too long.
    if (clear.size() < 2) return std::nullopt;
    if (std::abs(clear[0] - clear[1]) > 0.5 * std::abs(clear[1])) return std::nullopt;
    return false;
  }

  double slope() const { return slope_; }
  const at::Tensor& gradient() const { return gradient_; }
  static double rms(const at::Tensor& tensor) {
    return tensor.norm().item<double>() / std::sqrt(static_cast<double>(tensor.numel()));
  }

 private:
  double loss_at(const at::Tensor& direction, double step) {
    const c10::AutoGradMode no_grad(false);
    value_.copy_(start_ + direction * step);
    const double loss = model_.loss(batch_);
    value_.copy_(start_);
    return loss;
  }

  CutModel& model_;
  const Batch& batch_;
  at::Tensor value_, gradient_, start_;
  double loss_, slope_ = 0;
};

std::string disagreement(const std::string& name, const std::string& along, double slope,
                         double expected) {
  return c10::str("the loss changes with ", name, " along ", along, " by ", slope,
                  " a step, its gradient says ", expected);
}

/// Along the gradient, with weights of its elements so that they do not stand in for each other.
std::optional<std::string> problem_along_gradient(Trial& trial, const std::string& name,
                                                  bool& is_measured) {
  at::Tensor direction = at::empty_like(trial.gradient());
  fill_uniform(direction, RandomKey(17).with(name), 0.5, 1.5);
  direction.mul_(trial.gradient());
  const double expected = (direction * trial.gradient()).sum().item<double>();
  const auto agrees = trial.agrees(direction, expected, 0.02 * std::abs(expected));
  is_measured = is_measured || agrees.has_value();
  if (agrees.value_or(true)) return std::nullopt;
  return disagreement(name, "its gradient", trial.slope(), expected);
}

/// Along random directions: sees elements whose gradient is wrongly zero.
std::optional<std::string> problem_at_random(Trial& trial, const std::string& name) {
  const double typical = trial.gradient().norm().item<double>();
  for (int i = 0; i < kNumRandom; ++i) {
    at::Tensor direction = at::empty_like(trial.gradient());
    fill_normal(direction, RandomKey(18).with(name), 0, 1, static_cast<uint64_t>(i));
    const double expected = (direction * trial.gradient()).sum().item<double>();
    if (!trial.agrees(direction, expected, 0.15 * typical).value_or(true))
      return disagreement(name, "a random direction", trial.slope(), expected);
  }
  return std::nullopt;
}

}  // namespace

Problems compare_gradients(const Subject& subject) {
  const auto architecture = subject.make();
  CutModel model(*architecture, {});
  const Batch batch = subject.batch(*architecture, 0, 3);
  model.compute_gradients(batch);
  Problems problems;
  bool is_measured = false, has_trainable = false;
  for (const StoredParameter& parameter : model.parameters().parameters()) {
    if (!parameter.is_trainable) continue;
    has_trainable = true;
    Trial trial(model, batch, parameter);
    auto problem = problem_along_gradient(trial, parameter.name, is_measured);
    if (!problem) problem = problem_at_random(trial, parameter.name);
    if (problem) problems.push_back(*problem);
  }
  if (has_trainable && !is_measured)
    problems.push_back("no gradient is large enough to be compared with a change of the loss");
  return problems;
}

}  // namespace triga::conformance
