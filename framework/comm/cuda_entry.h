// What libtriga_cuda.so exports. Only this name; everything else goes through CudaBackend.
#pragma once

#include "comm/cuda_backend.h"

namespace triga {

inline constexpr const char* kOpenCudaBackend = "triga_open_cuda_backend";

/// Installs the kernels. The same object each time; it lives as long as the process. Throws: Error
/// when there is no driver, or one too old.
using OpenCudaBackend = CudaBackend*();

}  // namespace triga
