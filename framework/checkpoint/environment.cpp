#include "checkpoint/environment.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <fstream>

#include <fmt/format.h>

namespace triga {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Environment this_environment() {
  return {{"triga", TRIGA_VERSION},
          {"libtorch", TORCH_VERSION},
          {"cpu", cpu_model()},
          {"cpu_capability", at::get_cpu_capability()}};
}

std::vector<std::string> environment_differences(const Environment& stored,
                                                 const Environment& now) {
  std::vector<std::string> sentences;
  for (const auto& [name, value] : stored) {
    const auto other = now.find(name);
    if (other == now.end()) {
      sentences.push_back(
          fmt::format("{}: the checkpoint was written with {}, here there is none", name, value));
    } else if (other->second != value) {
      sentences.push_back(fmt::format("{}: the checkpoint was written with {}, here it is {}", name,
                                      value, other->second));
    }
  }
  for (const auto& [name, value] : now)
    if (!stored.contains(name))
      sentences.push_back(
          fmt::format("{}: the checkpoint was written without it, here it is {}", name, value));
  return sentences;
}

}  // namespace triga
