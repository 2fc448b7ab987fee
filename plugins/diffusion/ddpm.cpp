#include "diffusion/ddpm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <c10/util/StringUtil.h>

#include <numeric>

namespace triga::diffusion {
namespace {

/// How far the timesteps of one image and of the next one of an evaluation are apart: prime to their
/// number, so that as many images as timesteps have each once; about the golden section, so that
/// fewer lie evenly too.
int64_t evaluation_stride(int64_t num_timesteps) {
  auto stride = static_cast<int64_t>(0.618 * static_cast<double>(num_timesteps)) + 1;
  while (std::gcd(stride, num_timesteps) != 1) ++stride;
  return stride;
}

}  // namespace

std::vector<std::unique_ptr<Metric>> Ddpm::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(bits_per_dim(bound_));
  return metrics;
}

at::Tensor Ddpm::image_of(const Sample& sample) const {
  const at::Tensor& image = sample["image"];
  const std::vector<int64_t> shape = {config_.in_channels, config_.sample_size,
                                      config_.sample_size};
  if (image.sizes() != at::IntArrayRef(shape))
    throw DataError(c10::str("an image is ", image.sizes(), ", but the model reads ",
                             at::IntArrayRef(shape), " (in_channels, sample_size, sample_size)"));
  if (image.scalar_type() == at::kFloat) return image;
  if (image.scalar_type() != at::kByte)
    throw DataError(
        c10::str("an image is of ", image.dtype(), "; it must be bytes, or floats from -1 to 1"));
  return image.to(at::kFloat) / 127.5 - 1;
}

/// Of row `row` of the sample at `position`.
int64_t Ddpm::timestep(int64_t position, int64_t row, const CollateContext& context) const {
  const int64_t count = schedule_.num_timesteps();
  const auto counter = static_cast<uint64_t>(position);
  if (context.training) return RandomStream(context.key.with("timestep"), counter).below(count);
  const int64_t first = RandomStream(context.key.with("first timestep")).below(count);
  const int64_t of_row = row * count / config_.evaluation_timesteps;
  return (first + position % count * evaluation_stride(count) + of_row) % count;
}

Batch Ddpm::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  const int64_t rows = context.training ? 1 : config_.evaluation_timesteps;
  std::vector<at::Tensor> images, noises;
  std::vector<int64_t> steps;
  for (size_t i = 0; i < samples.size(); ++i) {
    const int64_t position = context.first_position + static_cast<int64_t>(i);
    const at::Tensor image = image_of(samples[i]);
    for (int64_t row = 0; row < rows; ++row) {
      at::Tensor noise = at::empty(image.sizes(), at::kFloat);
      const RandomKey key = context.key.with("noise");
      fill_normal(noise, row == 0 ? key : key.with(static_cast<uint64_t>(row)), 0, 1,
                  static_cast<uint64_t>(position));
      images.push_back(image);
      noises.push_back(noise);
      steps.push_back(timestep(position, row, context));
    }
  }
  const at::Tensor image = at::stack(images), noise = at::stack(noises);
  const at::Tensor timesteps = at::tensor(steps, at::kLong);
  Batch batch;
  batch.fields = {{"image", image},
                  {"noisy", schedule_.add_noise(image, noise, timesteps)},
                  {"timesteps", timesteps},
                  {"target", schedule_.target(config_.prediction_type, image, noise, timesteps)}};
  batch.num_samples = static_cast<int64_t>(samples.size());
  batch.first_position = context.first_position;
  return batch;
}

ModelDirectory Ddpm::model_directory() const {
  return {.files = ddpm_files(config_),
          .components = {
              {.component = "unet", .folder = "unet", .weights = "diffusion_pytorch_model"}}};
}

}  // namespace triga::diffusion
