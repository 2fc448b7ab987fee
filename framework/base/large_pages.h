// Memory in large pages (2 MB in place of 4 KB), for buffers that are walked from end to end: the
// optimizer's pass over values, gradients and states is bound by memory, and a fifth of its time
// went into finding pages.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstddef>
#include <cstdint>

namespace triga {

/// Asks the system for large pages in this range, of which nothing was touched yet. It may give
/// them or not.
void ask_for_large_pages(void* data, size_t bytes);

/// at::zeros({numel}, options), on the CPU in such memory.
at::Tensor zeros_in_large_pages(int64_t numel, const at::TensorOptions& options);

}  // namespace triga
