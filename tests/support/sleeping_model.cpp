#include "tests/support/sleeping_model.h"

#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>

#include <chrono>
#include <thread>

namespace triga::test {
namespace {

void sleep_ms(double milliseconds) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
}

/// x + weight, which sleeps for each gradient that it is asked for.
class SleepingSum : public torch::autograd::Function<SleepingSum> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, double input_ms, double weight_ms) {
    context->saved_data["input_ms"] = input_ms;
    context->saved_data["weight_ms"] = weight_ms;
    return x + weight;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    torch::autograd::variable_list result(4);
    if (context->needs_input_grad(0)) {
      sleep_ms(context->saved_data["input_ms"].toDouble());
      result[0] = gradients[0];
    }
    if (context->needs_input_grad(1)) {
      sleep_ms(context->saved_data["weight_ms"].toDouble());
      result[1] = gradients[0].sum(0);
    }
    return result;
  }
};

class SleepingLayer final : public Layer {
 public:
  SleepingLayer(int index, SleepTimes times) : times_(times), is_first_(index == 0) {
    weight_ = parameter(c10::str("layer.", index, ".weight"), {4}, Init::ones());
    if (is_first_) {
      times_.backward_weight += times_.backward_input;
      times_.backward_input = 0;
    }
  }
  Activations forward(const Activations& inputs, LayerContext& context) override {
    sleep_ms(times_.forward);
    const at::Tensor& x = is_first_ ? context.batch()["x"] : inputs["x"];
    return {{"x", SleepingSum::apply(x, weight_.tensor(), times_.backward_input,
                                     times_.backward_weight)}};
  }

 private:
  Parameter weight_;
  SleepTimes times_;
  bool is_first_;
};

class Sum final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch.num_samples);
  }
  at::Tensor sum(const Activations& outputs, const Batch&) const override {
    return outputs["x"].sum();
  }
};

}  // namespace

std::vector<LayerSpec> SleepingModel::layers() const {
  std::vector<LayerSpec> specs;
  for (int i = 0; i < num_layers_; ++i)
    specs.push_back({c10::str("layer.", i),
                     [i, times = times_] { return std::make_unique<SleepingLayer>(i, times); },
                     i == 0 ? std::vector<std::string>() : std::vector<std::string>{"x"},
                     {"x"}});
  return specs;
}

std::unique_ptr<Loss> SleepingModel::loss() const {
  return std::make_unique<Sum>();
}

}  // namespace triga::test
