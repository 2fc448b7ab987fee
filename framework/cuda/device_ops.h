// The kernels of triga/ops.h on tensors.
#pragma once

#include "ops/device_kernels.h"

namespace triga {

DeviceKernels cuda_kernels();

}  // namespace triga
