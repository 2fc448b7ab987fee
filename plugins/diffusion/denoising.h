// One step from x_t towards the image, given what the model says of x_t. Each step is that of
// diffusers' DDPMScheduler (with the fixed small variance) or DDIMScheduler on the same noise; the
// image that a prediction means is cut off at -1 and 1, as both do by default.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "diffusion/noise_schedule.h"

namespace triga::diffusion {

/// `num_steps` of the T timesteps, evenly, the noisiest first, ending at 0 ("leading" spacing).
/// Requires: 1 <= num_steps <= T.
std::vector<int64_t> inference_timesteps(int64_t num_timesteps, int64_t num_steps);

struct DenoisingStep {
  int64_t timestep = 0;
  int64_t next = -1;  // the following step's; -1: this is the last one
};

/// Equation 7 of Ho et al. (2020), for steps of any width. `output` and `noise` are like `noisy`,
/// fp32 [B, C, H, W]; the last step adds no noise.
at::Tensor ddpm_step(const NoiseSchedule& schedule, Prediction prediction,
                     const DenoisingStep& step, const at::Tensor& noisy, const at::Tensor& output,
                     const at::Tensor& noise);

/// Equation 12 of Song et al. ("Denoising Diffusion Implicit Models", 2021). eta 0: `noise` is not
/// read, and may be undefined; 1: as much noise as DDPM's.
at::Tensor ddim_step(const NoiseSchedule& schedule, Prediction prediction,
                     const DenoisingStep& step, double eta, const at::Tensor& noisy,
                     const at::Tensor& output, const at::Tensor& noise);

}  // namespace triga::diffusion
