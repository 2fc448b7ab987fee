// A third architecture, for tests: a small U-Net (Ronneberger et al. 2015) on images, whose skips
// pass over several stages:
//
//   down.0  writes skip.0 and hidden at half the size ------------------.
//   down.1  writes skip.1 and hidden at a quarter ----------.           |
//   middle.0, middle.1, middle.2                            |           |
//   up.1    reads hidden and skip.1 <-----------------------'           |
//   up.0    reads hidden and skip.0 <-----------------------------------'
//   out     the image that is predicted
#pragma once

#include "triga/architecture.h"

namespace triga::test {

class SmallUnet final : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override;
  /// Sum of squared errors, counted by pixels.
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"noisy", "clean": fp32 [1, h, w]}, h and w multiples of 4, all alike.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
};

/// Image `index` of a made-up set: 8 x 8, or 12 x 8 where `is_tall`.
Sample small_unet_sample(int64_t index, bool is_tall);

}  // namespace triga::test
