// The size of a gradient, and whether it is one.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace triga {

/// Sum of squares of a contiguous fp32 CPU tensor, added up in fp64 in a fixed order: it does not
/// depend on the number of threads, and depends on padding not at all. Not finite when an element
/// is not.
double sum_of_squares(const at::Tensor& tensor);

/// The same of several, on any device; the host waits once for all of them.
double sum_of_squares(const std::vector<at::Tensor>& tensors);

}  // namespace triga
