#include "diffusion/image_sampler.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "diffusion/denoising.h"
#include "triga/image.h"
#include "triga/random.h"

namespace triga::diffusion {
namespace {

constexpr int64_t kUsualDdimSteps = 50;

class ImageSampler final : public Sampler {
 public:
  ImageSampler(ImageInputs inputs, ImageModel model)
      : inputs_(std::move(inputs)),
        model_(std::move(model)),
        key_(RandomKey(static_cast<uint64_t>(inputs_.seed)).with("images")) {
    const int64_t most = model_.schedule.num_timesteps();
    const int64_t usual = inputs_.method == Method::kDdpm ? most : std::min(kUsualDdimSteps, most);
    const int64_t num_steps = inputs_.num_steps.value_or(usual);
    if (num_steps > most)
      throw ConfigError(c10::str("num_steps: ", num_steps, "; the model was trained with ", most,
                                 " timesteps, so at most that many"));
    timesteps_ = inference_timesteps(most, num_steps);
  }

  void generate(Predictor& predictor, const SamplerContext& context) override {
    std::vector<at::Tensor> images;
    const int64_t num_steps = static_cast<int64_t>(timesteps_.size());
    const int64_t num_batches = (inputs_.num_images + inputs_.batch_size - 1) / inputs_.batch_size;
    for (int64_t batch = 0; batch < num_batches; ++batch) {
      const int64_t first = batch * inputs_.batch_size;
      const int64_t count = std::min(inputs_.batch_size, inputs_.num_images - first);
      at::Tensor noisy = noise(key_.with("start"), first, count);
      for (int64_t i = 0; i < num_steps; ++i) {
        context.report_progress("denoising steps", batch * num_steps + i, num_batches * num_steps);
        noisy = step(predictor, static_cast<size_t>(i), noisy, first);
      }
      for (const at::Tensor& image : noisy.unbind()) images.push_back(bytes_of_image(image));
    }
    context.report_progress("denoising steps", num_batches * num_steps, num_batches * num_steps);
    save(images, context);
  }

 private:
  /// Normal noise of images first, first + 1, ...: [count, C, H, W].
  at::Tensor noise(RandomKey key, int64_t first, int64_t count) const {
    at::Tensor all = at::empty({count, model_.channels, model_.size, model_.size}, at::kFloat);
    for (int64_t i = 0; i < count; ++i) {
      at::Tensor one = all[i];
      fill_normal(one, key, 0, 1, static_cast<uint64_t>(first + i));
    }
    return all;
  }

  at::Tensor step(Predictor& predictor, size_t index, const at::Tensor& noisy,
                  int64_t first) const {
    DenoisingStep step{timesteps_[index], -1};
    if (index + 1 < timesteps_.size()) step.next = timesteps_[index + 1];
    Batch batch;
    batch.num_samples = noisy.size(0);
    batch.fields = {{"noisy", noisy},
                    {"timesteps", at::full({batch.num_samples}, step.timestep, at::kLong)}};
    const at::Tensor output =
        predictor.predict(batch, nullptr)["prediction"].to(at::kCPU, at::kFloat);
    const bool needs_noise = inputs_.method == Method::kDdpm || inputs_.eta > 0;
    const RandomKey key = key_.with("step").with(static_cast<uint64_t>(step.timestep));
    const at::Tensor fresh = needs_noise ? noise(key, first, batch.num_samples) : at::Tensor();
    if (inputs_.method == Method::kDdpm)
      return ddpm_step(model_.schedule, model_.prediction, step, noisy, output, fresh);
    return ddim_step(model_.schedule, model_.prediction, step, inputs_.eta, noisy, output, fresh);
  }

  void save(const std::vector<at::Tensor>& images, const SamplerContext& context) const {
    for (size_t i = 0; i < images.size(); ++i) {
      char name[32];
      std::snprintf(name, sizeof name, "image-%05zu.png", i);
      context.save(name, encode_png(images[i]));
    }
    const auto square = static_cast<int64_t>(std::ceil(std::sqrt(images.size())));
    context.save("grid.png", encode_png(image_grid(images, inputs_.columns.value_or(square))));
  }

  ImageInputs inputs_;
  ImageModel model_;
  RandomKey key_;
  std::vector<int64_t> timesteps_;
};

}  // namespace

void describe(Fields& fields, ImageInputs& inputs) {
  fields.choice("method", inputs.method, {{"ddim", Method::kDdim}, {"ddpm", Method::kDdpm}})
      .help("How noise is taken away: ddim (Song et al. 2021) or ddpm (Ho et al. 2020).")
      .known_as({"sampler", "scheduler", "algorithm"});
  fields.field("num_steps", inputs.num_steps)
      .help("Steps from noise to image. auto: 50 with ddim, all that were trained with ddpm.")
      .at_least(1)
      .empty_word("auto")
      .known_as({"num_inference_steps", "steps", "sampling_steps"});
  fields.field("eta", inputs.eta)
      .help("Of ddim: 0 adds no noise on the way, 1 as much as ddpm does.")
      .at_least(0)
      .at_most(1);
  fields.field("num_images", inputs.num_images)
      .help("How many images.")
      .at_least(1)
      .known_as({"num_samples", "n", "count"});
  fields.field("batch_size", inputs.batch_size).help("Images at a time.").at_least(1);
  fields.field("columns", inputs.columns)
      .help("Images in a row of the grid. auto: about as many as there are rows.")
      .at_least(1)
      .empty_word("auto")
      .known_as({"nrow", "grid_columns"});
  fields.field("seed", inputs.seed)
      .help("Of the noise: the same seed gives the same images.")
      .at_least(0)
      .known_as({"random_seed", "generator"});
}

SamplerKind image_sampler(const ImageModel& model) {
  return sampler_kind<ImageInputs>(
      [model](const ImageInputs& inputs) { return std::make_unique<ImageSampler>(inputs, model); });
}

}  // namespace triga::diffusion
