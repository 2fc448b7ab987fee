// The variational bound on the negative log-likelihood of an image (Ho et al. 2020, equation 5), in
// nats, for reverse steps of the fixed small variance:
//
//   L_T        how far x_T is from the noise that sampling starts with; no parameters
//   L_{t-1}    KL of the posterior q(x_{t-1} | x_t, x_0) and the reverse step: a squared error
//   L_0        the decoder: how likely the last step's normal distribution makes the pixels' bytes
//              (equation 13); its variance, 0 by the formula, is that of the step before
//
// Timesteps count from 0 here, as everywhere in this plugin: timestep 0 is L_0, timestep t is L_t.
#pragma once

#include <ATen/core/Tensor.h>

#include "diffusion/noise_schedule.h"
#include "triga/batch.h"

namespace triga::diffusion {

// Legend of suffixes: B batch, C channels, H height, W width.

/// What is done with the image that a prediction means.
enum class Estimate {
  kAsPredicted,  // for training: the error is weighted where it is made
  kCutOff        // at -1 and 1, as samplers do: the bound of what is sampled
};

class VariationalBound {
 public:
  VariationalBound(const NoiseSchedule& schedule, Prediction prediction);

  int64_t num_timesteps() const { return schedule_.num_timesteps(); }

  /// L_T of images of bytes, as fp32 [B, C, H, W] from -1 to 1. Result: fp32 [B].
  at::Tensor prior(const at::Tensor& image_BCHW) const;

  /// The term of each row's own timestep; times the number of timesteps, and with prior(), it is the
  /// bound, in the mean over timesteps. Reads image, noisy, target fp32 [B, C, H, W] and timesteps
  /// int64 [B]; `output`: what the model predicts. Result: fp32 [B].
  at::Tensor term(const Batch& batch, const at::Tensor& output_BCHW, Estimate estimate) const;

 private:
  at::Tensor decoder(const at::Tensor& image_BCHW, const at::Tensor& mean_BCHW) const;

  NoiseSchedule schedule_;
  Prediction prediction_;
  at::Tensor image_weights_, target_weights_;  // fp32 [T]: of squared errors; 0 of the first
  double decoder_deviation_ = 1;
};

}  // namespace triga::diffusion
