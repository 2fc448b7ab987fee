// A checkpoint's content of a few hundred bytes that differs from step to step.
#pragma once

#include <ATen/ATen.h>

#include "checkpoint/snapshot.h"

namespace triga::test {

inline Snapshot small_snapshot(int64_t step, std::map<std::string, double> metrics = {}) {
  Snapshot snapshot;
  snapshot.state.step = step;
  snapshot.state.samples = step * 8;
  snapshot.state.train_seconds = 0.1 * static_cast<double>(step);
  snapshot.state.best_value = 1.0 / 3;
  snapshot.environment = {{"triga", "0.0.0"}, {"cpu", "a test"}};
  snapshot.metrics = std::move(metrics);
  snapshot.model.files = {{"config.json", "{\"model_type\": \"test\"}\n"}};
  snapshot.files = {{"tokenizer.json", "{}\n"}};
  snapshot.weights[""] = {{"wte.weight", at::full({4, 3}, static_cast<double>(step), at::kFloat)},
                          {"ln.bias", at::arange(5, at::kFloat) + static_cast<double>(step)}};
  for (const auto& [name, tensor] : snapshot.weights[""])
    snapshot.training["optimizer"][name + ".exp_avg"] = tensor * 2;
  snapshot.resolved = "name: test\n";
  return snapshot;
}

}  // namespace triga::test
