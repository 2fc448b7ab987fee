// parallel_for: loops of our own on the threads that LibTorch's loops run on. (at::parallel_for
// needs a compiler's OpenMP, which brings a second set of threads with clang.)
#pragma once

#include <c10/util/FunctionRef.h>

#include <cstdint>

namespace triga {

/// body(begin, end) for pieces that make up [0, size), on at most at::get_num_threads() threads,
/// each of at least `grain` elements. Results must not depend on where the cuts are. `body` must
/// not throw.
void parallel_for(int64_t size, int64_t grain,
                  c10::function_ref<void(int64_t begin, int64_t end)> body);

}  // namespace triga
