// Image files. An image is a tensor of bytes, [C, H, W]: C 1 (grey) or 3 (red, green, blue), rows
// from the top.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace triga {

/// PNG or JPEG, known by its first bytes. What is grey in the file has one channel; transparent
/// parts are laid on black. Throws: DataError that names the file.
at::Tensor read_image(const std::string& path);

/// The content of a PNG file. Requires: an image.
std::string encode_png(const at::Tensor& image);

/// Images of one size, `columns` in a row, two pixels of black between them. Requires: at least one.
at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns);

/// fp32 of any shape, -1 to 1, as bytes: what is beyond is cut off. Rounds half to even, as NumPy.
at::Tensor bytes_of_image(const at::Tensor& image);

}  // namespace triga
