// What libtriga_cuda.so offers, put together.
#include <ATen/Context.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <cstdio>

#include "comm/cuda_entry.h"
#include "cuda/device_ops.h"
#include "cuda/nccl_communicator.h"
#include "triga/error.h"

namespace triga {
namespace {

/// 13000 is 13.0.
std::string version_text(int version) {
  return c10::str(version / 1000, ".", version % 1000 / 10);
}

cudaDeviceProp properties_of(int index) {
  cudaDeviceProp properties{};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess)
    throw Error(c10::str("GPU ", index, ": ", cudaGetErrorString(error)));
  return properties;
}

/// As nvidia-smi -L writes it.
std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

class Backend final : public CudaBackend {
 public:
  Backend() { set_device_kernels(cuda_kernels()); }

  int num_devices() const override {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess) return count;
    if (error == cudaErrorNoDevice) return 0;
    if (error != cudaErrorInsufficientDriver)
      throw Error(c10::str("CUDA cannot be set up: ", cudaGetErrorString(error)));
    const auto versions = this->versions();
    throw Error(c10::str("the NVIDIA driver is too old: it is for CUDA ",
                         versions.at("CUDA driver"), ", this build for CUDA ", versions.at("CUDA"),
                         "; install a newer driver, or build with an older CUDA"));
  }

  void use_device(int index) override {
    TRIGA_CHECK(index >= 0 && index < num_devices(), "GPU ", index, " of ", num_devices());
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
    at::globalContext().lazyInitDevice(at::kCUDA);  // its allocator can be asked from now on
  }

  std::string describe_device(int index) const override {
    const cudaDeviceProp properties = properties_of(index);
    return c10::str(properties.name, ", ", properties.totalGlobalMem >> 30, " GB");
  }

  std::string identify_device(int index) const override {
    const cudaDeviceProp properties = properties_of(index);
    std::array<char, 32> place{};
    std::snprintf(place.data(), place.size(), "%04x:%02x:%02x.0", properties.pciDomainID,
                  properties.pciBusID, properties.pciDeviceID);
    return c10::str("GPU-", uuid_text(properties.uuid), " (", place.data(), ")");
  }

  std::string nccl_built_with() const override {
    return c10::str(NCCL_MAJOR, ".", NCCL_MINOR, ".", NCCL_PATCH);
  }

  std::map<std::string, std::string> versions() const override {
    int runtime = 0, driver = 0;
    cudaRuntimeGetVersion(&runtime);
    cudaDriverGetVersion(&driver);
    return {{"CUDA", version_text(runtime)},
            {"CUDA driver", version_text(driver)},
            {"NCCL", nccl_version()}};
  }

  std::unique_ptr<Communicator> make_communicator(std::unique_ptr<Communicator> host,
                                                  std::chrono::milliseconds deadline) override {
    return std::make_unique<NcclCommunicator>(std::move(host), deadline);
  }
};

}  // namespace
}  // namespace triga

extern "C" {

__attribute__((visibility("default"))) triga::CudaBackend* triga_open_cuda_backend() {
  static triga::Backend backend;
  return &backend;
}
}
