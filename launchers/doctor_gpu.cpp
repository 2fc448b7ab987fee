#include "launchers/doctor_gpu.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "comm/cuda_backend.h"

namespace triga {
namespace {

constexpr const char* kGpu = "GPU";

/// The oldest drivers (their first number) that run a CUDA of this major version.
struct DriverOfCuda {
  int cuda, driver;
};
constexpr DriverOfCuda kDrivers[] = {{11, 450}, {12, 525}, {13, 580}};

int driver_for(int cuda_major) {
  for (const DriverOfCuda& known : kDrivers)
    if (known.cuda == cuda_major) return known.driver;
  return 0;
}

/// "12.8" for 12080.
std::string cuda_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// Calls libcuda, which the driver brings, without its headers.
class DriverLibrary {
 public:
  DriverLibrary() : library_(::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}

  bool is_there() const { return library_ != nullptr; }
  /// False: there is no such function, or it failed.
  template <class... Arguments>
  bool call(const char* name, Arguments... arguments) const {
    return status(name, arguments...) == 0;
  }
  /// CUresult; -1: there is no such function.
  template <class... Arguments>
  int status(const char* name, Arguments... arguments) const {
    auto* function = reinterpret_cast<int (*)(Arguments...)>(::dlsym(library_, name));
    return function != nullptr ? function(arguments...) : -1;
  }

 private:
  void* library_;  // stays open: it keeps threads
};

GpuFacts::Gpu gpu_of(const DriverLibrary& cuda, int index) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
  GpuFacts::Gpu gpu;
  int device = 0;
  std::array<char, 128> name{};
  size_t bytes = 0;
  if (!cuda.call("cuDeviceGet", &device, index)) return gpu;
  cuda.call("cuDeviceGetName", name.data(), static_cast<int>(name.size()), device);
  cuda.call("cuDeviceGetAttribute", &gpu.major, kMajor, device);
  cuda.call("cuDeviceGetAttribute", &gpu.minor, kMinor, device);
  cuda.call("cuDeviceTotalMem_v2", &bytes, device);
  gpu.name = name.data();
  gpu.bytes = static_cast<double>(bytes);
  return gpu;
}

constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

/// Where cuInit() gives a CUresult that says more than that there is no GPU.
std::string what_to_do(int init_status) {
  switch (init_status) {
    case 802:
      return "a service of the host is not running, on hosts with NVSwitch the fabric manager: "
             "systemctl status nvidia-fabricmanager; the site can start it";
    case 803:
    case 804:
      return "libcuda.so.1 is not of the driver that the kernel has loaded: nvidia-smi says the "
             "same; the host needs a restart, or a container another bind (--nv)";
    default:
      return "nvidia-smi and the host's kernel log (dmesg) may know more; ask the site";
  }
}

/// `has_gpu`: without one LibTorch cannot say what it has code for.
CudaBuild gather_build(bool has_gpu) {
  CudaBuild build;
  build.is_there = has_cuda_library({});
  if (!build.is_there) return build;
  try {
    CudaBackend& backend = open_cuda({});
    const auto versions = backend.versions();
    const std::string& cuda = versions.at("CUDA");  // "13.0"
    build.cuda =
        std::atoi(cuda.c_str()) * 1000 + std::atoi(cuda.substr(cuda.find('.') + 1).c_str()) * 10;
    build.nccl_built_with = backend.nccl_built_with();
    build.nccl_loaded = versions.at("NCCL");
    if (has_gpu) build.architectures = architectures_in(at::detail::getCUDAHooks().showConfig());
  } catch (const std::exception& error) {
    const std::string text = error.what();
    build.problem = text.substr(0, text.find('\n'));  // below it LibTorch writes where it was
  }
  return build;
}

Findings judge_build(const CudaBuild& build) {
  Findings findings = {ok(kGpu, fmt::format("this build is for CUDA {}, with NCCL {}",
                                            cuda_text(build.cuda), build.nccl_loaded))};
  if (build.nccl_loaded != build.nccl_built_with)
    findings.push_back(warning(kGpu,
                               fmt::format("NCCL {} was loaded, and Triga was built with {}",
                                           build.nccl_loaded, build.nccl_built_with),
                               "an older one may lack functions: take other copies of libnccl.so.2 "
                               "out of LD_LIBRARY_PATH"));
  return findings;
}

Findings judge_driver(const GpuFacts& facts, const CudaBuild& build) {
  const int needed = build.cuda / 1000;
  const std::string driver = facts.driver.empty() ? "the NVIDIA driver" : "driver " + facts.driver;
  if (facts.driver_cuda == 0)
    return {problem(kGpu,
                    driver + " is there, and libcuda.so.1, which belongs to it, cannot be opened",
                    "in a container, start it with the driver (apptainer --nv, docker --gpus all); "
                    "otherwise install the driver anew",
                    ExitStatus::kUsage)};
  if (facts.driver_cuda / 1000 >= needed)
    return {ok(kGpu, fmt::format("{}, for CUDA up to {}", driver, cuda_text(facts.driver_cuda)))};
  return {problem(
      kGpu,
      fmt::format("{} is for CUDA up to {}, this build for CUDA {}", driver,
                  cuda_text(facts.driver_cuda), cuda_text(build.cuda)),
      fmt::format(
          "a driver of at least {}; or build Triga with a LibTorch for CUDA {} (a variant cu{}x)",
          driver_for(needed), facts.driver_cuda / 1000, facts.driver_cuda / 1000),
      ExitStatus::kUsage)};
}

Finding judge_gpu(const GpuFacts::Gpu& gpu, size_t index, const CudaBuild& build) {
  const std::string text = fmt::format("GPU {}: {}, {:.0f} GB, compute capability {}.{}", index,
                                       gpu.name, gpu.bytes * 1e-9, gpu.major, gpu.minor);
  if (build.architectures.empty() || runs_on(build.architectures, gpu.major, gpu.minor))
    return ok(kGpu, text);
  return problem(kGpu,
                 fmt::format("{}: this LibTorch has code for {} only", text,
                             fmt::join(build.architectures, ", ")),
                 gpu.major < 9 ? "a LibTorch for an older CUDA, whose builds keep older GPUs "
                                 "(cu12x has what cu13x dropped)"
                               : "a newer LibTorch, or one for a newer CUDA",
                 ExitStatus::kUsage);
}

}  // namespace

bool runs_on(const std::vector<std::string>& architectures, int major, int minor) {
  const int capability = major * 10 + minor;
  return std::any_of(architectures.begin(), architectures.end(), [&](const std::string& name) {
    const int number = std::atoi(name.c_str() + name.find('_') + 1);
    if (name.starts_with("compute_")) return number <= capability;  // PTX is compiled when loaded
    if (name.ends_with('a')) return number == capability;           // of this one alone
    return number / 10 == major && number % 10 <= minor;
  });
}

std::vector<std::string> architectures_in(const std::string& text) {
  std::vector<std::string> found;
  const std::string code = "code=";
  for (size_t at = text.find(code); at != std::string::npos; at = text.find(code, at + 1)) {
    const size_t begin = at + code.size();
    const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", begin);
    const std::string name = text.substr(begin, end - begin);
    if (std::find(found.begin(), found.end(), name) == found.end()) found.push_back(name);
  }
  return found;
}

std::string driver_version_in(const std::string& text) {
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ..."
  const size_t line = text.find("NVRM version:");
  if (line == std::string::npos) return "";
  for (size_t i = text.find_first_of(" \t", line); i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] < '0' || text[i] > '9' || text[i - 1] != ' ') continue;
    const std::string word = text.substr(i, text.find_first_not_of("0123456789.", i) - i);
    if (word.find('.') != std::string::npos) return word;
  }
  return "";
}

Findings judge_gpus(const GpuFacts& facts, const CudaBuild& build, const Wishes& wishes) {
  const bool is_wanted = wishes.device == "cuda";
  const auto bad = [&](const std::string& text, const std::string& cure) {
    return is_wanted ? problem(kGpu, text, cure, ExitStatus::kUsage) : warning(kGpu, text, cure);
  };
  const bool has_driver = !facts.driver.empty() || facts.driver_cuda > 0;
  if (!has_driver) {
    Findings findings;
    if (is_wanted)
      findings.push_back(
          bad("train.device is cuda, and this host has no NVIDIA driver",
              "right for a login node; where the run is to compute, install the driver"));
    else
      findings.push_back(ok(kGpu, "no NVIDIA driver: this host computes on the CPU"));
    if (!build.problem.empty())
      findings.push_back(bad("it could not compute on one: " + build.problem,
                             "a library that is named is missing, or of another version"));
    else if (build.is_there)
      for (Finding& finding : judge_build(build)) findings.push_back(std::move(finding));
    return findings;
  }
  if (!build.is_there)
    return {
        bad(fmt::format("{} ({}), and this Triga is built for the CPU only",
                        facts.gpus.empty() ? "an NVIDIA driver" : facts.gpus[0].name, facts.driver),
            "./dev build --cuda builds what computes on it")};
  if (!build.problem.empty())
    return {problem(kGpu, build.problem,
                    "a library that it names is missing, or of another version",
                    ExitStatus::kUsage)};
  Findings findings = judge_build(build);
  for (Finding& finding : judge_driver(facts, build)) findings.push_back(std::move(finding));
  if (facts.init_status != 0 && facts.init_status != kNoDevice)
    findings.push_back(
        bad(fmt::format("the driver does not start: cuInit() gives {} ({})", facts.init_status,
                        facts.init_name.empty() ? "a number that it cannot name" : facts.init_name),
            what_to_do(facts.init_status)));
  else if (facts.gpus.empty() && facts.driver_cuda > 0)
    findings.push_back(
        bad("no GPU that this process may use",
            "is CUDA_VISIBLE_DEVICES empty, or the job without GPUs (launch.gpus_per_node)?"));
  for (size_t i = 0; i < facts.gpus.size(); ++i)
    findings.push_back(judge_gpu(facts.gpus[i], i, build));
  const int ranks_here = (wishes.num_ranks + wishes.num_hosts - 1) / wishes.num_hosts;
  if (wishes.device != "cpu" && !facts.gpus.empty() &&
      ranks_here > static_cast<int>(facts.gpus.size()))
    findings.push_back(
        bad(fmt::format("{} ranks a host, and {} GPUs", ranks_here, facts.gpus.size()),
            "NCCL takes one rank a GPU: launch.ranks_per_node"));
  return findings;
}

GpuFacts gather_gpus() {
  GpuFacts facts;
  std::ifstream file("/proc/driver/nvidia/version");
  facts.driver = driver_version_in({std::istreambuf_iterator<char>(file), {}});
  const DriverLibrary cuda;
  if (!cuda.is_there()) return facts;
  cuda.call("cuDriverGetVersion", &facts.driver_cuda);
  int count = 0;
  facts.init_status = cuda.status("cuInit", 0U);
  const char* name = nullptr;
  if (facts.init_status != 0 && cuda.call("cuGetErrorName", facts.init_status, &name) && name)
    facts.init_name = name;
  if (facts.init_status == 0 && cuda.call("cuDeviceGetCount", &count))
    for (int i = 0; i < count; ++i) facts.gpus.push_back(gpu_of(cuda, i));
  return facts;
}

Findings look_at_gpus(const GpuFacts& facts, const Wishes& wishes) {
  return judge_gpus(facts, gather_build(!facts.gpus.empty()), wishes);
}

}  // namespace triga
