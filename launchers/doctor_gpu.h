// triga doctor: do the GPUs, their driver, LibTorch's CUDA and NCCL fit together?
#pragma once

#include <string>
#include <vector>

#include "launchers/doctor.h"

namespace triga {

/// Of the host, asked without LibTorch.
struct GpuFacts {
  struct Gpu {
    std::string name;
    int major = 0, minor = 0;  // compute capability
    double bytes = 0;
  };
  std::string driver;     // "580.65.06"; "": there is none
  int driver_cuda = 0;    // the newest CUDA that it can run: 12080 is 12.8; 0: libcuda cannot say
  int init_status = 0;    // of cuInit(): CUresult, 0 where it works
  std::string init_name;  // "CUDA_ERROR_SYSTEM_NOT_READY"
  std::vector<Gpu> gpus;
};

/// Of Triga and its LibTorch.
struct CudaBuild {
  bool is_there = false;  // libtriga_cuda.so
  std::string problem;    // why it cannot be opened
  int cuda = 0;           // 13000
  std::string nccl_built_with, nccl_loaded;
  std::vector<std::string> architectures;  // "sm_90", "compute_90": machine code, and PTX
};

GpuFacts gather_gpus();

Findings look_at_gpus(const GpuFacts& facts, const Wishes& wishes);

Findings judge_gpus(const GpuFacts& facts, const CudaBuild& build, const Wishes& wishes);

/// Whether code for one of these runs on a GPU of this compute capability.
bool runs_on(const std::vector<std::string>& architectures, int major, int minor);
/// "sm_75", ... in what LibTorch says of its build: "-gencode;arch=compute_75,code=sm_75;...".
std::vector<std::string> architectures_in(const std::string& text);
/// "580.65.06" in the text of /proc/driver/nvidia/version.
std::string driver_version_in(const std::string& text);

}  // namespace triga
