// IDX files, the form of MNIST: a tensor of bytes with its shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace triga {

/// Bytes of `num_dims` dimensions, from a file that may be packed by gzip. Throws: DataError that
/// names the file: it cannot be read, is no such file, or is cut off.
at::Tensor read_idx(const std::string& path, int num_dims);

}  // namespace triga
