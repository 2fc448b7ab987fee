#include "launchers/chosen_device.h"

#include <ATen/Context.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>

#include "triga/log.h"

namespace triga {
namespace {

/// NVIDIA's driver, or that of WSL.
bool has_driver() {
  return std::filesystem::exists("/dev/nvidiactl") || std::filesystem::exists("/dev/dxg");
}

}  // namespace

ChosenDevice::ChosenDevice(const CommandEnvironment& environment, const ConfigNode& root) {
  std::string wanted = "auto";
  if (const ConfigNode* train = root.find("train")) {
    place_ = train->place_of("device");
    if (const ConfigNode* device = train->find("device")) wanted = device->scalar;
  }
  if (wanted == "cuda" || (wanted == "auto" && has_driver() && has_cuda_library({}))) {
    try {
      open(environment);
    } catch (const Error& error) {
      if (wanted == "cuda")
        problem_ = error.what();
      else
        log_warning("device", error.what(), "; computing on the CPU");
    }
  }
}

void ChosenDevice::open(const CommandEnvironment& environment) {
  // Read by cuBLAS when it is first used: with it the same product gives the same bits.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  CudaBackend& backend = open_cuda({});
  const int num_devices = backend.num_devices();
  if (num_devices == 0)
    throw Error(has_driver() ? "no GPU that this process may use (CUDA_VISIBLE_DEVICES?), or a "
                               "driver that is older than CUDA 13 (580)"
                             : "this host has no NVIDIA driver");
  index_ = environment.placement.local_rank % num_devices;
  // With one GPU in sight each rank may have another one (srun --gpus-per-task=1); start_checks.h
  // finds ranks that share one.
  backend.use_device(index_);
  backend_ = &backend;
}

void ChosenDevice::check() const {
  if (problem_) throw config_error(place_, "cuda: " + *problem_);
}

std::unique_ptr<Communicator> ChosenDevice::attach(std::unique_ptr<Communicator> host,
                                                   std::chrono::milliseconds deadline) const {
  if (backend_ == nullptr) return host;
  return backend_->make_communicator(std::move(host), deadline);
}

void ChosenDevice::set_deterministic(bool on) const {
  if (backend_ == nullptr) return;
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(on);
  context.setBenchmarkCuDNN(!on);
}

std::string ChosenDevice::description() const {
  if (backend_ == nullptr) return "CPU";
  return fmt::format("GPU {} ({})", index_, backend_->describe_device(index_));
}

std::string ChosenDevice::identity() const {
  return backend_ == nullptr ? "" : backend_->identify_device(index_);
}

std::map<std::string, std::string> ChosenDevice::versions() const {
  if (backend_ == nullptr) return {};
  std::map<std::string, std::string> versions = backend_->versions();
  versions["GPU"] = backend_->describe_device(index_);
  return versions;
}

}  // namespace triga
