#include "diffusion/denoising.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

namespace triga::diffusion {
namespace {

/// What a step needs of the schedule. fp32, since diffusers computes them so.
struct Alphas {
  float now = 1, next = 1;  // alphas_cumprod at the timestep and at the next one

  Alphas(const NoiseSchedule& schedule, const DenoisingStep& step) {
    const float* alphas = schedule.alphas_cumprod().const_data_ptr<float>();
    now = alphas[step.timestep];
    next = step.next >= 0 ? alphas[step.next] : 1.0f;
  }
};

struct Estimate {
  at::Tensor image, noise;  // x_0, not cut off, and the noise in x_t
};

Estimate estimate(Prediction prediction, float alpha, const at::Tensor& noisy,
                  const at::Tensor& output) {
  const float signal = std::sqrt(alpha), noise = std::sqrt(1 - alpha);
  if (prediction == Prediction::kEpsilon) return {(noisy - noise * output) / signal, output};
  if (prediction == Prediction::kSample) return {output, (noisy - signal * output) / noise};
  return {signal * noisy - noise * output, signal * output + noise * noisy};
}

}  // namespace

std::vector<int64_t> inference_timesteps(int64_t num_timesteps, int64_t num_steps) {
  const int64_t stride = num_timesteps / num_steps;
  std::vector<int64_t> timesteps;
  for (int64_t i = num_steps; i-- > 0;) timesteps.push_back(i * stride);
  return timesteps;
}

at::Tensor ddpm_step(const NoiseSchedule& schedule, Prediction prediction,
                     const DenoisingStep& step, const at::Tensor& noisy, const at::Tensor& output,
                     const at::Tensor& noise) {
  const Alphas alpha(schedule, step);
  const float alpha_step = alpha.now / alpha.next, beta_step = 1 - alpha_step;
  const at::Tensor image = estimate(prediction, alpha.now, noisy, output).image.clamp(-1, 1);
  const float of_image = std::sqrt(alpha.next) * beta_step / (1 - alpha.now);
  const float of_noisy = std::sqrt(alpha_step) * (1 - alpha.next) / (1 - alpha.now);
  const at::Tensor mean = of_image * image + of_noisy * noisy;
  if (step.timestep == 0) return mean;
  const float variance = std::max((1 - alpha.next) / (1 - alpha.now) * beta_step, 1e-20f);
  return mean + std::sqrt(variance) * noise;
}

at::Tensor ddim_step(const NoiseSchedule& schedule, Prediction prediction,
                     const DenoisingStep& step, double eta, const at::Tensor& noisy,
                     const at::Tensor& output, const at::Tensor& noise) {
  const Alphas alpha(schedule, step);
  const Estimate found = estimate(prediction, alpha.now, noisy, output);
  const float variance = (1 - alpha.next) / (1 - alpha.now) * (1 - alpha.now / alpha.next);
  const auto stddev = static_cast<float>(eta) * std::sqrt(variance);
  const float direction = std::sqrt(1 - alpha.next - stddev * stddev);
  const at::Tensor mean =
      std::sqrt(alpha.next) * found.image.clamp(-1, 1) + direction * found.noise;
  return eta > 0 ? mean + stddev * noise : mean;
}

}  // namespace triga::diffusion
