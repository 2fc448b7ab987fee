// CudaBackend: what libtriga_cuda.so offers: devices, kernels for triga/ops.h, and a communicator
// over NCCL. The library, and with it CUDA and NCCL, is opened here and nowhere else, so that a run
// on the CPU needs none of them. Everything else reaches a device through LibTorch and
// Communicator::device().
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace triga {

class CudaBackend {
 public:
  virtual ~CudaBackend() = default;

  /// That this process may use. Throws: Error when CUDA cannot be set up (an old driver).
  virtual int num_devices() const = 0;
  /// Makes a device that of this thread and of everything made from now on. Throws: Error.
  virtual void use_device(int index) = 0;
  /// Model and memory: "NVIDIA H200, 140 GB".
  virtual std::string describe_device(int index) const = 0;
  /// What no other GPU anywhere has, and where it sits: "GPU-1f0c3a5e-... (0000:17:00.0)".
  virtual std::string identify_device(int index) const = 0;
  /// Of the NCCL that this was built with; versions() says which one was loaded.
  virtual std::string nccl_built_with() const = 0;
  /// Of the CUDA run time, the driver and NCCL, by name, for the record of a run.
  virtual std::map<std::string, std::string> versions() const = 0;

  /// A communicator of the same ranks whose data operations on tensors of the device in use go over
  /// NCCL. It takes `host` over for its host channel and for tensors on the CPU. Throws: CommError.
  /// Collective.
  virtual std::unique_ptr<Communicator> make_communicator(std::unique_ptr<Communicator> host,
                                                          std::chrono::milliseconds deadline) = 0;
};

struct CudaOptions {
  std::filesystem::path library;  // libtriga_cuda.so; empty: the one beside libtriga.so
};

/// Is there a library to open?
bool has_cuda_library(const CudaOptions& options);

/// Opens the library, and installs its kernels. LibTorch decides once a process, at the first
/// backward pass, seed or pinned buffer, whether there is CUDA: call it before. Stays open until
/// the process ends. Throws: Error that says what is missing.
CudaBackend& open_cuda(const CudaOptions& options);

}  // namespace triga
