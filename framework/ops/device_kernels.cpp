#include "ops/device_kernels.h"

#include "triga/error.h"

namespace triga {
namespace {

DeviceKernels installed;

}  // namespace

void set_device_kernels(const DeviceKernels& kernels) {
  installed = kernels;
}

const DeviceKernels& device_kernels() {
  TRIGA_CHECK(installed.mask != nullptr, "no library of this device is open");
  return installed;
}

}  // namespace triga
