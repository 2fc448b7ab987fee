// What a step does besides the model's mathematics, each beside the yardstick that it should come
// near: AdamW and the gradient's norm beside copying the bytes that they touch, masks beside
// LibTorch's generator.
#include <ATen/ops/bernoulli.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <vector>

#include "optim/gradient_norm.h"
#include "optim/optimizers.h"
#include "triga/random.h"

namespace triga {
namespace {

constexpr int64_t kNumParameters = 4 << 20;

std::unique_ptr<Optimizer> make_adamw() {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& entry : registry.optimizers.kinds())
    if (entry.name == "adamw") return entry.create(ConfigNode::make_mapping(), {});
  return nullptr;
}

void adamw(benchmark::State& state) {
  const auto optimizer = make_adamw();
  OptimizerSlice slice;
  slice.parameter = at::empty({kNumParameters}, at::kFloat);
  slice.gradient = at::empty({kNumParameters}, at::kFloat);
  fill_normal(slice.parameter, RandomKey(1), 0, 1);
  fill_normal(slice.gradient, RandomKey(2), 0, 1);
  for (size_t i = 0; i < optimizer->state_names().size(); ++i)
    slice.states.push_back(at::zeros({kNumParameters}, at::kFloat));
  slice.group = {1.0, 0.1};
  int64_t step = 0;
  for (auto _ : state) optimizer->update({&slice, 1}, 1e-3, ++step, 1.0);
  // Reads parameter, gradient and two moments, writes parameter and two moments.
  state.SetBytesProcessed(state.iterations() * kNumParameters * 28);
}
BENCHMARK(adamw)->Unit(benchmark::kMillisecond)->UseRealTime();

void copy_of_as_many_bytes(benchmark::State& state) {
  std::vector<char> from(kNumParameters * 14, 1), to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(from.size()) * 2);
}
BENCHMARK(copy_of_as_many_bytes)->Unit(benchmark::kMillisecond)->UseRealTime();

void gradient_norm(benchmark::State& state) {
  at::Tensor gradient = at::empty({kNumParameters}, at::kFloat);
  fill_normal(gradient, RandomKey(2), 0, 1);
  for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(gradient));
  state.SetBytesProcessed(state.iterations() * kNumParameters * 4);
}
BENCHMARK(gradient_norm)->Unit(benchmark::kMillisecond)->UseRealTime();

void keyed_uniform(benchmark::State& state) {
  at::Tensor numbers = at::empty({1024, 384}, at::kFloat);
  for (auto _ : state) fill_uniform(numbers, RandomKey(3), 0, 1);
  state.SetItemsProcessed(state.iterations() * numbers.numel());
}
BENCHMARK(keyed_uniform)->Unit(benchmark::kMicrosecond)->UseRealTime();

void bernoulli_of_libtorch(benchmark::State& state) {
  at::Tensor numbers = at::empty({1024, 384}, at::kFloat);
  for (auto _ : state) numbers.bernoulli_(0.9);
  state.SetItemsProcessed(state.iterations() * numbers.numel());
}
BENCHMARK(bernoulli_of_libtorch)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace triga
