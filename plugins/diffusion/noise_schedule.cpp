#include "diffusion/noise_schedule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cumprod.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace triga::diffusion {
namespace {

at::Tensor squared_cosine_betas(int64_t num_timesteps) {
  constexpr double kMaxBeta = 0.999;
  const auto alpha_bar = [&](int64_t i) {
    const double t = static_cast<double>(i) / static_cast<double>(num_timesteps);
    const double cosine = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return cosine * cosine;
  };
  std::vector<double> betas;
  for (int64_t i = 0; i < num_timesteps; ++i)
    betas.push_back(std::min(1 - alpha_bar(i + 1) / alpha_bar(i), kMaxBeta));
  return at::tensor(betas, at::kDouble).to(at::kFloat);
}

at::Tensor make_betas(const NoiseScheduleConfig& config) {
  const int64_t steps = config.num_train_timesteps;
  if (config.beta_schedule == BetaSchedule::kSquaredCosine) return squared_cosine_betas(steps);
  if (config.beta_schedule == BetaSchedule::kLinear)
    return at::linspace(config.beta_start, config.beta_end, steps, at::kFloat);
  return at::linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end), steps, at::kFloat)
      .square();
}

}  // namespace

NoiseSchedule::NoiseSchedule(const NoiseScheduleConfig& config)
    : betas_(make_betas(config)), alphas_cumprod_((1 - betas_).cumprod(0)) {}

at::Tensor NoiseSchedule::signal_scale(const at::Tensor& timesteps) const {
  return alphas_cumprod_.to(timesteps.device())
      .index_select(0, timesteps)
      .sqrt()
      .view({-1, 1, 1, 1});
}

at::Tensor NoiseSchedule::noise_scale(const at::Tensor& timesteps) const {
  return (1 - alphas_cumprod_.to(timesteps.device()).index_select(0, timesteps))
      .sqrt()
      .view({-1, 1, 1, 1});
}

at::Tensor NoiseSchedule::add_noise(const at::Tensor& image, const at::Tensor& noise,
                                    const at::Tensor& timesteps) const {
  return signal_scale(timesteps) * image + noise_scale(timesteps) * noise;
}

at::Tensor NoiseSchedule::target(Prediction prediction, const at::Tensor& image,
                                 const at::Tensor& noise, const at::Tensor& timesteps) const {
  if (prediction == Prediction::kEpsilon) return noise;
  if (prediction == Prediction::kSample) return image;
  return signal_scale(timesteps) * noise - noise_scale(timesteps) * image;
}

at::Tensor NoiseSchedule::image(Prediction prediction, const at::Tensor& noisy,
                                const at::Tensor& output, const at::Tensor& timesteps) const {
  if (prediction == Prediction::kSample) return output;
  if (prediction == Prediction::kVelocity)
    return signal_scale(timesteps) * noisy - noise_scale(timesteps) * output;
  return (noisy - noise_scale(timesteps) * output) / signal_scale(timesteps);
}

}  // namespace triga::diffusion
