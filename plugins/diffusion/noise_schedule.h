// How much noise each timestep has: the betas of Ho et al. (2020, section 2) and of their
// successors, and what is made of them. The same fp32 operations in the same order as diffusers'
// DDPMScheduler.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace triga::diffusion {

enum class BetaSchedule {
  kLinear,        // from beta_start to beta_end (Ho et al. 2020)
  kScaledLinear,  // the square roots are linear (Rombach et al. 2022)
  kSquaredCosine  // of Nichol and Dhariwal (2021, equation 17), capped at 0.999
};

/// What the model predicts of x_t = sqrt(a) x_0 + sqrt(1 - a) noise, where a = alphas_cumprod[t].
enum class Prediction {
  kEpsilon,  // the noise
  kSample,   // x_0
  kVelocity  // sqrt(a) noise - sqrt(1 - a) x_0 (Salimans and Ho 2022)
};

struct NoiseScheduleConfig {
  int64_t num_train_timesteps = 1000;
  BetaSchedule beta_schedule = BetaSchedule::kLinear;
  double beta_start = 1e-4;
  double beta_end = 0.02;
};

/// Of T timesteps; fp32 on the CPU.
class NoiseSchedule {
 public:
  explicit NoiseSchedule(const NoiseScheduleConfig& config);

  int64_t num_timesteps() const { return alphas_cumprod_.size(0); }
  const at::Tensor& betas() const { return betas_; }                    // [T]
  const at::Tensor& alphas_cumprod() const { return alphas_cumprod_; }  // [T]

  /// x_t. `image` and `noise`: fp32 [B, C, H, W]; `timesteps`: int64 [B], 0 <= t < T.
  at::Tensor add_noise(const at::Tensor& image, const at::Tensor& noise,
                       const at::Tensor& timesteps) const;
  /// What a model should say of that x_t.
  at::Tensor target(Prediction prediction, const at::Tensor& image, const at::Tensor& noise,
                    const at::Tensor& timesteps) const;
  /// The image that a prediction means, given that x_t.
  at::Tensor image(Prediction prediction, const at::Tensor& noisy, const at::Tensor& output,
                   const at::Tensor& timesteps) const;

 private:
  at::Tensor signal_scale(const at::Tensor& timesteps) const;  // sqrt(a), [B, 1, 1, 1]
  at::Tensor noise_scale(const at::Tensor& timesteps) const;   // sqrt(1 - a), [B, 1, 1, 1]

  at::Tensor betas_, alphas_cumprod_;
};

}  // namespace triga::diffusion
