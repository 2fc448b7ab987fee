#include "data/image_scaling.h"

#include <ATen/ops/_upsample_bilinear2d_aa.h>

#include <algorithm>
#include <cmath>

namespace triga {

at::Tensor scaled_to_square(const at::Tensor& image, int64_t size) {
  const int64_t height = image.size(1), width = image.size(2);
  at::Tensor scaled = image;
  if (std::min(height, width) != size) {
    const double scale = static_cast<double>(size) / static_cast<double>(std::min(height, width));
    const auto scaled_size = [&](int64_t side) {
      return std::max(size, static_cast<int64_t>(std::floor(static_cast<double>(side) * scale)));
    };
    scaled = at::_upsample_bilinear2d_aa(image.unsqueeze(0).to(at::kFloat),
                                         {scaled_size(height), scaled_size(width)},
                                         /*align_corners=*/false)
                 .clamp(0, 255)
                 .round()
                 .to(at::kByte)[0];
  }
  const auto first = [&](int64_t side) { return (side - size) / 2; };
  return scaled.narrow(1, first(scaled.size(1)), size).narrow(2, first(scaled.size(2)), size);
}

}  // namespace triga
