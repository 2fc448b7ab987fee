// ChosenDevice: where this process computes, by `train.device`. CUDA's library must be opened
// before anything else of LibTorch that asks for CUDA, so this comes between reading an experiment
// and opening its plugins.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "comm/cuda_backend.h"
#include "launchers/environment.h"
#include "triga/config_node.h"

namespace triga {

class ChosenDevice {
 public:
  /// The CPU.
  ChosenDevice() = default;
  /// `root`: an experiment as it was read. A GPU that is asked for and not there is an error of
  /// check(), so that other errors of the experiment are found as well.
  ChosenDevice(const CommandEnvironment& environment, const ConfigNode& root);

  /// Throws: ConfigError.
  void check() const;

  bool is_cuda() const { return backend_ != nullptr; }
  /// The communicator of this device, over that of the hosts. Collective. Throws: CommError.
  std::unique_ptr<Communicator> attach(std::unique_ptr<Communicator> host,
                                       std::chrono::milliseconds deadline) const;
  /// The same bits in every run, where LibTorch offers a choice. Nothing to do on the CPU.
  void set_deterministic(bool on) const;
  /// "GPU 0 (NVIDIA H200, 140 GB)"; "CPU".
  std::string description() const;
  /// Of a GPU: what no other one anywhere has (cuda_backend.h). "" on the CPU.
  std::string identity() const;
  /// Of CUDA, its driver and NCCL, and the GPU, for the record of a run.
  std::map<std::string, std::string> versions() const;

 private:
  void open(const CommandEnvironment& environment);

  CudaBackend* backend_ = nullptr;  // null: the CPU
  int index_ = 0;
  ConfigNode place_;  // of train.device
  std::optional<std::string> problem_;
};

}  // namespace triga
