#include "diffusion/ddpm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/stack.h>
#include <c10/util/StringUtil.h>

namespace triga::diffusion {
namespace {

class SquaredError final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["target"].numel());
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs["prediction"].to(at::kFloat), batch["target"], at::Reduction::Sum);
  }
};

}  // namespace

std::unique_ptr<Loss> Ddpm::loss() const {
  return std::make_unique<SquaredError>();
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

Batch Ddpm::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  const auto num_samples = static_cast<int64_t>(samples.size());
  std::vector<at::Tensor> images, noises;
  at::Tensor timesteps = at::empty({num_samples}, at::kLong);
  for (int64_t i = 0; i < num_samples; ++i) {
    images.push_back(image_of(samples[static_cast<size_t>(i)]));
    at::Tensor noise = at::empty(images.back().sizes(), at::kFloat);
    fill_normal(noise, context.key.with("noise"), 0, 1,
                static_cast<uint64_t>(context.first_position + i));
    noises.push_back(noise);
    timesteps[i] = context.random(i, "timestep").below(schedule_.num_timesteps());
  }
  const at::Tensor image = at::stack(images), noise = at::stack(noises);
  Batch batch;
  batch.fields = {{"noisy", schedule_.add_noise(image, noise, timesteps)},
                  {"timesteps", timesteps},
                  {"target", schedule_.target(config_.prediction_type, image, noise, timesteps)}};
  batch.num_samples = num_samples;
  batch.first_position = context.first_position;
  return batch;
}

ModelDirectory Ddpm::model_directory() const {
  return {.files = ddpm_files(config_),
          .components = {
              {.component = "unet", .folder = "unet", .weights = "diffusion_pytorch_model"}}};
}

}  // namespace triga::diffusion
