#include "rnn/squared_error.h"

#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>

#include <utility>

#include "common/mean_metric.h"

namespace triga::rnn {
namespace {

using common::MeanMetric;

class SquaredError final : public Loss {
 public:
  SquaredError(std::string output, std::string target)
      : output_(std::move(output)), target_(std::move(target)) {}

  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch[target_].numel());
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs[output_].to(at::kFloat), batch[target_], at::Reduction::Sum);
  }

 private:
  std::string output_, target_;
};

}  // namespace

std::unique_ptr<Loss> squared_error(const std::string& output, const std::string& target) {
  return std::make_unique<SquaredError>(output, target);
}

std::vector<std::unique_ptr<Metric>> error_metrics(const std::string& output,
                                                   const std::string& target) {
  const auto metric = [&](const char* name, auto error) {
    return std::make_unique<MeanMetric>(name, [=](const Batch& batch, const Activations& outputs) {
      const at::Tensor& wanted = batch[target];
      const at::Tensor sum =
          error(outputs[output].to(at::kDouble), wanted.to(at::kDouble), at::Reduction::Sum);
      return MeanMetric::Part{sum.template item<double>(), static_cast<double>(wanted.numel())};
    });
  };
  using Error = at::Tensor(const at::Tensor&, const at::Tensor&, int64_t);
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(metric("mse", static_cast<Error*>(at::mse_loss)));
  metrics.push_back(metric("mae", static_cast<Error*>(at::l1_loss)));
  return metrics;
}

}  // namespace triga::rnn
