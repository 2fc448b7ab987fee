#include "optim/optimizers.h"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/full.h>

#include <array>
#include <cmath>

#include "optim/adam_update.h"

namespace triga {
namespace {

struct AdamConfig {
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

struct AdamWConfig : AdamConfig {
  AdamWConfig() { weight_decay = 0.01; }
};

struct SgdConfig {
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

std::optional<std::string> betas_rule(const std::vector<double>& betas) {
  if (betas.size() == 2 && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1)
    return std::nullopt;
  return "needs two numbers, each at least 0 and below 1, such as [0.9, 0.999]";
}

void describe_adam(Fields& fields, AdamConfig& config, const char* decay_help) {
  fields.field("betas", config.betas)
      .help("Decay rates of the running averages of the gradient and of its square.")
      .known_as({"adam_betas", "beta1", "beta2", "adam_beta1", "adam_beta2"});
  fields.field("eps", config.eps)
      .help("Added to the root of the second average, against division by zero.")
      .above(0)
      .known_as({"adam_epsilon", "epsilon"});
  fields.field("weight_decay", config.weight_decay)
      .help(decay_help)
      .at_least(0)
      .known_as({"wd", "l2"});
  fields.rule("betas", [&config] { return betas_rule(config.betas); });
}

void describe(Fields& fields, AdamConfig& config) {
  describe_adam(fields, config,
                "L2 penalty: weight_decay * parameter is added to the gradient. Biases and norms "
                "are left out unless a group says otherwise.");
}

void describe(Fields& fields, AdamWConfig& config) {
  describe_adam(
      fields, config,
      "Decoupled weight decay (Loshchilov and Hutter 2019). Biases and norms are left out "
      "unless a group says otherwise.");
}

void describe(Fields& fields, SgdConfig& config) {
  fields.field("momentum", config.momentum)
      .help("Share of the last update that is kept.")
      .at_least(0)
      .below(1);
  fields.field("dampening", config.dampening)
      .help("What the new gradient is lessened by in the momentum.")
      .at_least(0)
      .at_most(1);
  fields.field("weight_decay", config.weight_decay)
      .help(
          "L2 penalty: weight_decay * parameter is added to the gradient. Biases and norms are "
          "left out unless a "
          "group says otherwise.")
      .at_least(0);
  fields.field("nesterov", config.nesterov).help("Nesterov's momentum.");
  fields.rule("nesterov", [&config]() -> std::optional<std::string> {
    if (!config.nesterov || (config.momentum > 0 && config.dampening == 0)) return std::nullopt;
    return "needs a momentum above 0 and dampening 0";
  });
}

/// Filled by the device itself: a copy from the host would wait for it.
at::Tensor scalar_on(at::Device device, double value) {
  return at::full({}, value, at::TensorOptions().dtype(at::kFloat).device(device));
}

/// A fused kernel divides the gradient by this scale while it reads it.
std::optional<at::Tensor> divisor(double gradient_scale, at::Device device) {
  if (gradient_scale == 1) return std::nullopt;
  return scalar_on(device, 1 / gradient_scale);
}

/// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), with torch.optim's numerics.
class Adam final : public Optimizer {
 public:
  Adam(const AdamConfig& config, bool decoupled) : config_(config), decoupled_(decoupled) {}

  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }

  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
              double gradient_scale) override {
    const at::Device device = slices[0].parameter.device();
    if (device.is_cpu()) {
      for (const OptimizerSlice& slice : slices)
        update_on_cpu(slice, learning_rate * slice.group.learning_rate_scale, step, gradient_scale);
      return;
    }
    const at::Tensor step_tensor = scalar_on(device, static_cast<double>(step));
    const auto scale = divisor(gradient_scale, device);
    const auto kernel = decoupled_ ? static_cast<decltype(&call_adam)>(call_adamw) : call_adam;
    for (const OptimizerSlice& slice : slices)
      kernel(slice, step_tensor, learning_rate * slice.group.learning_rate_scale, config_, scale);
  }

 private:
  /// Slices are contiguous fp32: ranges of flat buffers.
  void update_on_cpu(const OptimizerSlice& slice, double rate, int64_t step, double scale) const {
    for (const at::Tensor* tensor :
         {&slice.parameter, &slice.gradient, &slice.states[0], &slice.states[1]})
      TRIGA_CHECK(tensor->is_contiguous() && tensor->scalar_type() == at::kFloat,
                  "a slice of the optimizer that is not contiguous fp32");
    const double decay = slice.group.weight_decay.value_or(config_.weight_decay);
    const auto t = static_cast<double>(step);
    AdamUpdate update;
    update.scale = static_cast<float>(scale);
    update.penalty = static_cast<float>(decoupled_ ? 0 : decay);
    update.one_minus_beta1 = static_cast<float>(1 - config_.betas[0]);
    update.beta2 = static_cast<float>(config_.betas[1]);
    update.one_minus_beta2 = static_cast<float>(1 - config_.betas[1]);
    update.shrink = static_cast<float>(decoupled_ ? 1 - rate * decay : 1);
    update.step_size = static_cast<float>(rate / (1 - std::pow(config_.betas[0], t)));
    update.root_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(config_.betas[1], t)));
    update.eps = static_cast<float>(config_.eps);
    apply(update, slice.parameter.mutable_data_ptr<float>(), slice.gradient.const_data_ptr<float>(),
          slice.states[0].mutable_data_ptr<float>(), slice.states[1].mutable_data_ptr<float>(),
          slice.parameter.numel());
  }
  static void call_adam(const OptimizerSlice& slice, const at::Tensor& step, double rate,
                        const AdamConfig& config, const std::optional<at::Tensor>& scale) {
    at::_fused_adam_({slice.parameter}, {slice.gradient}, {slice.states[0]}, {slice.states[1]}, {},
                     {step}, rate, config.betas[0], config.betas[1],
                     slice.group.weight_decay.value_or(config.weight_decay), config.eps,
                     /*amsgrad=*/false, /*maximize=*/false, scale, {});
  }
  static void call_adamw(const OptimizerSlice& slice, const at::Tensor& step, double rate,
                         const AdamConfig& config, const std::optional<at::Tensor>& scale) {
    at::_fused_adamw_({slice.parameter}, {slice.gradient}, {slice.states[0]}, {slice.states[1]}, {},
                      {step}, rate, config.betas[0], config.betas[1],
                      slice.group.weight_decay.value_or(config.weight_decay), config.eps,
                      /*amsgrad=*/false, /*maximize=*/false, scale, {});
  }

  AdamConfig config_;
  bool decoupled_;
};

/// SGD with momentum, with torch.optim.SGD's numerics (the first update sets the momentum to the
/// gradient).
class Sgd final : public Optimizer {
 public:
  explicit Sgd(const SgdConfig& config) : config_(config) {}

  std::vector<std::string> state_names() const override {
    return config_.momentum > 0 ? std::vector<std::string>{"momentum_buffer"}
                                : std::vector<std::string>{};
  }

  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
              double gradient_scale) override {
    const auto scale = divisor(gradient_scale, slices[0].parameter.device());
    for (const OptimizerSlice& slice : slices) {
      std::vector<at::Tensor> momentum;
      if (config_.momentum > 0) momentum.push_back(slice.states[0]);
      at::_fused_sgd_({slice.parameter}, {slice.gradient}, momentum,
                      slice.group.weight_decay.value_or(config_.weight_decay), config_.momentum,
                      learning_rate * slice.group.learning_rate_scale, config_.dampening,
                      config_.nesterov,
                      /*maximize=*/false, /*is_first_step=*/step == 1, scale, {});
    }
  }

 private:
  SgdConfig config_;
};

}  // namespace

void register_core_optimizers(Registry& registry) {
  registry.optimizers.add<AdamWConfig>(
      "adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).",
      [](const AdamWConfig& config, const OptimizerContext&) {
        return std::make_unique<Adam>(config, true);
      });
  registry.optimizers.add<AdamConfig>("adam", "Adam (Kingma and Ba 2015).",
                                      [](const AdamConfig& config, const OptimizerContext&) {
                                        return std::make_unique<Adam>(config, false);
                                      });
  registry.optimizers.add<SgdConfig>("sgd", "Stochastic gradient descent, with momentum if wanted.",
                                     [](const SgdConfig& config, const OptimizerContext&) {
                                       return std::make_unique<Sgd>(config);
                                     });
}

}  // namespace triga
