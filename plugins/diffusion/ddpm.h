// Kind `ddpm`: a denoising diffusion model of images (Ho et al., "Denoising Diffusion
// Probabilistic Models", 2020), stored as a pipeline directory that diffusers' DDPMPipeline reads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/ddpm_losses.h"
#include "diffusion/image_sampler.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/unet.h"
#include "diffusion/variational_bound.h"
#include "triga/architecture.h"

namespace triga::diffusion {

struct DdpmConfig : UnetConfig, NoiseScheduleConfig {
  Prediction prediction_type = Prediction::kEpsilon;
  LossKind loss = LossKind::kSimple;
  int64_t evaluation_timesteps = 1;  // of each image
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
  explicit Ddpm(const DdpmConfig& config)
      : config_(config), schedule_(config), bound_(schedule_, config.prediction_type) {}

  std::vector<LayerSpec> layers() const override { return unet_layers(config_); }
  std::unique_ptr<Loss> loss() const override { return ddpm_loss(config_.loss, bound_); }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  /// Samples {"image"}: fp32 [C, H, W], from -1 to 1, or bytes. Gives "image", "noisy" and "target"
  /// fp32 [B, C, H, W] and "timesteps" int64 [B]: noise and timestep are drawn by the sample's
  /// position. An evaluation spreads its timesteps evenly, and has evaluation_timesteps rows of each
  /// sample.
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
  int64_t timestep(int64_t position, int64_t row, const CollateContext& context) const;

  DdpmConfig config_;
  NoiseSchedule schedule_;
  VariationalBound bound_;
};

}  // namespace triga::diffusion
