// MeanMetric: a metric that is a sum over the evaluation, divided by a count.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "triga/metric.h"

namespace triga::common {

class MeanMetric final : public Metric {
 public:
  struct Part {
    double sum = 0, count = 0;
  };
  /// `part`: of one batch.
  using Function = std::function<Part(const Batch& batch, const Activations& outputs)>;
  MeanMetric(std::string name, Function part) : name_(std::move(name)), part_(std::move(part)) {}

  std::string name() const override { return name_; }
  void reset() override { total_ = {}; }
  void update(const Batch& batch, const Activations& outputs) override;
  at::Tensor state() const override;  // fp64 [2]: sum, count
  void merge(const at::Tensor& state) override;
  double result() const override { return total_.count == 0 ? 0 : total_.sum / total_.count; }

 private:
  std::string name_;
  Function part_;
  Part total_;
};

}  // namespace triga::common
