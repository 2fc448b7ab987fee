// The diffusion family.
#include "triga/plugin.h"

#include "diffusion/ddpm.h"

TRIGA_PLUGIN(diffusion, "0.1.0") {
  using namespace triga;             // NOLINT: of this function alone
  using namespace triga::diffusion;  // NOLINT
  registry.architectures.add<DdpmConfig>(
      "ddpm",
      "Denoising diffusion model of images (Ho et al. 2020): a U-Net as diffusers' UNet2DModel.",
      [](const DdpmConfig& config, const ArchitectureContext&) -> std::unique_ptr<Architecture> {
        return std::make_unique<Ddpm>(config);
      });
}
