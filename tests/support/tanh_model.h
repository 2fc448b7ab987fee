// TanhModel: layers whose cost is known: each tanh keeps its result until backward, nothing else.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/tanh.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "triga/architecture.h"

namespace triga::test {

constexpr int64_t kTanhWidth = 512;

/// tanh, several times over: each keeps its result.
class TanhLayer final : public Layer {
 public:
  TanhLayer(const std::string& name, int num_times, int sleep_ms)
      : num_times_(num_times), sleep_ms_(sleep_ms) {
    scale_ = parameter(name + ".scale", {kTanhWidth}, Init::ones());
    parameter(name + ".table", {1000, 10}, Init::normal(1)).set_trainable(false);
  }
  Activations forward(const Activations& inputs, LayerContext& context) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms_));
    const at::Tensor* hidden = inputs.find("hidden");
    at::Tensor x = hidden ? *hidden : context.batch()["x"] * scale_.tensor();
    for (int i = 0; i < num_times_; ++i) x = at::tanh(x);
    return {{"hidden", x}};
  }

 private:
  Parameter scale_;
  const int num_times_, sleep_ms_;
};

class SumLoss final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["x"].size(0));
  }
  at::Tensor sum(const Activations& outputs, const Batch&) const override {
    return outputs["hidden"].sum();
  }
};

/// A batch is `x`, fp32 [n, kTanhWidth].
class TanhModel final : public Architecture {
 public:
  struct Part {
    std::string name;
    int num_times = 1, sleep_ms = 0;
  };
  explicit TanhModel(std::vector<Part> parts) : parts_(std::move(parts)) {}

  std::vector<LayerSpec> layers() const override {
    std::vector<LayerSpec> specs;
    for (const Part& part : parts_)
      specs.push_back(
          {part.name,
           [part] { return std::make_unique<TanhLayer>(part.name, part.num_times, part.sleep_ms); },
           specs.empty() ? std::vector<std::string>() : std::vector<std::string>{"hidden"},
           {"hidden"}});
    return specs;
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<SumLoss>(); }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}

 private:
  std::vector<Part> parts_;
};

}  // namespace triga::test
