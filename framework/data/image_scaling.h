// Images of any size as squares of one.
#pragma once

#include <ATen/core/Tensor.h>

namespace triga {

/// uint8 [C, H, W] -> uint8 [C, size, size]: the shorter side is scaled to `size` (bilinear, with
/// antialiasing), the longer one cut on both sides.
at::Tensor scaled_to_square(const at::Tensor& image, int64_t size);

}  // namespace triga
