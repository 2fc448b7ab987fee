// Clipping and AdamW over so many parameters, as a step of Triga does it, beside copying 28 bytes a
// parameter: `bench_clip_and_update REPETITIONS THREADS`. Prints one JSON object: milliseconds of
// each repetition of both, in turn.
#include <ATen/Parallel.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/large_pages.h"
#include "optim/gradient_norm.h"
#include "optim/optimizers.h"

namespace triga {
namespace {

constexpr int64_t kNumParameters = 24'500'000;

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::unique_ptr<Optimizer> make_adamw() {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& entry : registry.optimizers.kinds())
    if (entry.name == "adamw") return entry.create(ConfigNode::make_mapping(), {});
  return nullptr;
}

void copy(char* to, const char* from, int64_t bytes) {
  at::parallel_for(0, bytes, 1 << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
  });
  asm volatile("" : : "r"(to) : "memory");
}

void measure(int repetitions) {
  const auto optimizer = make_adamw();
  OptimizerSlice slice;
  // In memory as a run has it.
  slice.parameter = zeros_in_large_pages(kNumParameters, at::kFloat).fill_(0.1);
  slice.gradient = zeros_in_large_pages(kNumParameters, at::kFloat).fill_(1e-3);
  for (size_t i = 0; i < optimizer->state_names().size(); ++i)
    slice.states.push_back(zeros_in_large_pages(kNumParameters, at::kFloat));
  slice.group = {1.0, 0.1};
  const int64_t half = kNumParameters * 14;  // copying reads and writes
  const at::Tensor from = zeros_in_large_pages(half, at::kByte);
  const at::Tensor to = zeros_in_large_pages(half, at::kByte);
  std::string ours, copies;
  for (int i = 0; i < repetitions; ++i) {
    auto start = Clock::now();
    const double norm = std::sqrt(sum_of_squares(slice.gradient));
    optimizer->update({&slice, 1}, 1e-3, i + 1, 1 / norm);
    ours += std::to_string(milliseconds_since(start)) + (i + 1 < repetitions ? ", " : "");
    start = Clock::now();
    copy(static_cast<char*>(to.mutable_data_ptr()), static_cast<const char*>(from.data_ptr()),
         half);
    copies += std::to_string(milliseconds_since(start)) + (i + 1 < repetitions ? ", " : "");
  }
  std::printf("{\"milliseconds\": [%s], \"copy_milliseconds\": [%s]}\n", ours.c_str(),
              copies.c_str());
}

}  // namespace
}  // namespace triga

int main(int, char** argv) {
  at::set_num_threads(std::stoi(argv[2]));
  triga::measure(std::stoi(argv[1]));
}
