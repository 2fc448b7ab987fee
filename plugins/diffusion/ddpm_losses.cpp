#include "diffusion/ddpm_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <numbers>
#include <utility>

namespace triga::diffusion {
namespace {

class SimpleLoss final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["target"].numel());
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs["prediction"].to(at::kFloat), batch["target"], at::Reduction::Sum);
  }
};

class VariationalLoss final : public Loss {
 public:
  explicit VariationalLoss(VariationalBound bound) : bound_(std::move(bound)) {}
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["target"].numel());
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    const at::Tensor terms = bound_.term(batch, outputs["prediction"], Estimate::kAsPredicted);
    const at::Tensor nats =
        bound_.prior(batch["image"]) + static_cast<double>(bound_.num_timesteps()) * terms;
    return nats.sum() / std::numbers::ln2;
  }

 private:
  VariationalBound bound_;
};

class BitsPerDim final : public Metric {
 public:
  explicit BitsPerDim(VariationalBound bound) : bound_(std::move(bound)) { reset(); }

  std::string name() const override { return "bits_per_dim"; }

  void reset() override {
    terms_ = at::zeros({2, bound_.num_timesteps()}, at::kDouble);
    prior_ = at::zeros({2, 1}, at::kDouble);
  }

  void update(const Batch& batch, const Activations& outputs) override {
    const double bits = 1 / (std::numbers::ln2 * static_cast<double>(batch["image"][0].numel()));
    const auto add = [&](at::Tensor& to, const at::Tensor& place, const at::Tensor& nats) {
      const at::Tensor values = nats.to(at::kCPU, at::kDouble) * bits;
      to.index_add_(1, place, at::stack({values, at::ones_like(values)}));
    };
    const at::Tensor timesteps = batch["timesteps"].cpu();
    add(terms_, timesteps, bound_.term(batch, outputs["prediction"], Estimate::kCutOff));
    add(prior_, at::zeros_like(timesteps), bound_.prior(batch["image"]));
  }

  at::Tensor state() const override { return at::cat({terms_, prior_}, 1); }

  void merge(const at::Tensor& state) override {
    terms_ += state.narrow(1, 0, terms_.size(1));
    prior_ += state.narrow(1, terms_.size(1), 1);
  }

  double result() const override {
    const at::Tensor seen = terms_[1].gt(0);
    if (!seen.any().item<bool>()) return 0;
    const at::Tensor means = (terms_[0] / terms_[1]).masked_select(seen);
    return (prior_[0] / prior_[1]).item<double>() +
           means.mean().item<double>() * static_cast<double>(bound_.num_timesteps());
  }

 private:
  VariationalBound bound_;
  at::Tensor terms_;  // fp64 [2, T]: sums and counts of each timestep
  at::Tensor prior_;  // fp64 [2, 1]
};

}  // namespace

std::unique_ptr<Loss> ddpm_loss(LossKind kind, const VariationalBound& bound) {
  if (kind == LossKind::kVariational) return std::make_unique<VariationalLoss>(bound);
  return std::make_unique<SimpleLoss>();
}

std::unique_ptr<Metric> bits_per_dim(const VariationalBound& bound) {
  return std::make_unique<BitsPerDim>(bound);
}

}  // namespace triga::diffusion
