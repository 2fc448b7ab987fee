// Kind `ddpm`: a denoising diffusion model of images (Ho et al., "Denoising Diffusion
// Probabilistic Models", 2020), stored as a pipeline directory that diffusers' DDPMPipeline reads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/image_sampler.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/unet.h"
#include "triga/architecture.h"

namespace triga::diffusion {

struct DdpmConfig : UnetConfig, NoiseScheduleConfig {
  Prediction prediction_type = Prediction::kEpsilon;
};

void describe(Fields& fields, DdpmConfig& config);

/// The pipeline directory: what it holds beside weights.
std::map<std::string, std::string> ddpm_files(const DdpmConfig& config);

/// Throws: ConfigError that names each value in which unet/config.json or
/// scheduler/scheduler_config.json (keys of `files`) differs from `config`; CheckpointError when
/// one is missing, not JSON, or of another class.
void check_ddpm_files(const DdpmConfig& config, const std::map<std::string, std::string>& files);

class Ddpm final : public Architecture {
 public:
  explicit Ddpm(const DdpmConfig& config) : config_(config), schedule_(config) {}

  std::vector<LayerSpec> layers() const override { return unet_layers(config_); }
  /// The simple loss (equation 14): squared errors of the prediction, counted by pixels.
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"image"}: fp32 [C, H, W], from -1 to 1, or bytes. Gives "noisy" and "target" fp32
  /// [B, C, H, W] and "timesteps" int64 [B]: noise and timestep are drawn by the sample's position.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  std::optional<SamplerKind> sampler() const override {
    return image_sampler(
        {schedule_, config_.prediction_type, config_.in_channels, config_.sample_size});
  }
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override {
    check_ddpm_files(config_, files);
  }

 private:
  at::Tensor image_of(const Sample& sample) const;

  DdpmConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace triga::diffusion
