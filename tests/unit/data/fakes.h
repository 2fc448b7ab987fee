// Small stand-ins for the tests of data: a dataset of numbers, an architecture that only collates.
#pragma once

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>

#include <functional>
#include <string>
#include <vector>

#include "triga/architecture.h"

namespace triga::test {

/// Sample i is {"value": [i]}, of length lengths[i] or 1.
class NumberDataset final : public Dataset {
 public:
  explicit NumberDataset(int64_t size) : size_(size) {}
  explicit NumberDataset(std::vector<int64_t> lengths)
      : size_(static_cast<int64_t>(lengths.size())), lengths_(std::move(lengths)) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    if (before_get) before_get(index);
    return {{"value", at::full({1}, index, at::kLong)}};
  }
  int64_t length(int64_t index) const override {
    return lengths_.empty() ? 1 : lengths_[static_cast<size_t>(index)];
  }
  std::string fingerprint() const override { return "numbers"; }

  std::function<void(int64_t)> before_get;

 private:
  int64_t size_;
  std::vector<int64_t> lengths_;
};

/// Stacks the samples; keeps a random number of each, to see what collate was given.
class CollatingArchitecture final : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override { return {}; }
  std::unique_ptr<Loss> loss() const override { return nullptr; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override {
    if (before_collate) before_collate(context);
    std::vector<at::Tensor> values, noise;
    for (size_t i = 0; i < samples.size(); ++i) {
      values.push_back(samples[i]["value"]);
      noise.push_back(
          at::full({1}, context.random(static_cast<int64_t>(i), "noise").uniform(), at::kDouble));
    }
    return {.fields = {{"value", at::stack(values)}, {"noise", at::stack(noise)}}};
  }

  std::function<void(const CollateContext&)> before_collate;
};

/// The numbers in a batch of NumberDataset.
inline std::vector<int64_t> values_of(const Batch& batch) {
  if (batch.num_samples == 0) return {};
  const auto& tensor = batch["value"];
  return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()};
}

}  // namespace triga::test
