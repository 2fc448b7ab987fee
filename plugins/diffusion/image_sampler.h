// The sampler `images` of diffusion models: from noise to images, as PNG files and one grid of them.
// Image i depends on the seed and on i alone: not on how many are made, nor on how many at a time.
#pragma once

#include <cstdint>
#include <optional>

#include "diffusion/noise_schedule.h"
#include "triga/sampler.h"

namespace triga::diffusion {

enum class Method { kDdpm, kDdim };

struct ImageInputs {
  Method method = Method::kDdim;
  std::optional<int64_t> num_steps;  // empty: 50 with ddim, all with ddpm
  double eta = 0;
  int64_t num_images = 16;
  int64_t batch_size = 16;
  std::optional<int64_t> columns;  // of the grid; empty: about as many as rows
  int64_t seed = 0;
};

void describe(Fields& fields, ImageInputs& inputs);

struct ImageModel {
  NoiseSchedule schedule;
  Prediction prediction;
  int64_t channels, size;
};

/// For models that read `noisy` fp32 [B, C, H, W] and `timesteps` int64 [B], and write `prediction`
/// like `noisy`.
SamplerKind image_sampler(const ImageModel& model);

}  // namespace triga::diffusion
