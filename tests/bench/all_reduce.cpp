// all_reduce of a buffer on several ranks, beside what memory can do: `mpirun -n 2 bench_all_reduce
// REPETITIONS BYTES...`. Rank 0 prints one JSON object a size: seconds of each repetition (the
// slowest rank's), and the bytes a second that all ranks together copy with STREAM's copy kernel.
#include <ATen/ops/ones.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "comm/mpi_communicator.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double slowest(Communicator& world, double seconds) {
  world.all_reduce_values({&seconds, 1}, ReduceOp::kMax, "slowest rank");
  return seconds;
}

/// Bytes read and written a second, by all ranks at once (McCalpin's STREAM, copy): the best of
/// ten.
double stream_copy(Communicator& world) {
  constexpr size_t kBytes = size_t{64} << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 2);
  double best = 0;
  for (int i = 0; i < 10; ++i) {
    world.barrier("copy");
    const auto start = Clock::now();
    std::memcpy(to.data(), from.data(), kBytes);
    asm volatile("" : : "r"(to.data()) : "memory");  // or the compiler leaves the copy out
    const double seconds = slowest(world, seconds_since(start));
    best = std::max(best, 2.0 * static_cast<double>(kBytes) * world.size() / seconds);
  }
  return best;
}

void measure(Communicator& world, int64_t bytes, int repetitions) {
  const at::Tensor buffer = world.allocate(bytes / 4, at::kFloat);
  buffer.zero_();
  // Small ones several times a repetition, so that the clock sees them.
  const int64_t times = std::max<int64_t>(1, (int64_t{4} << 20) / bytes);
  const double memory = stream_copy(world);
  std::string all;
  for (int i = -2; i < repetitions; ++i) {
    world.barrier("repetition");
    const auto start = Clock::now();
    for (int64_t j = 0; j < times; ++j) world.all_reduce(buffer, ReduceOp::kSum, "bench").wait();
    const double seconds = slowest(world, seconds_since(start)) / static_cast<double>(times);
    if (i >= 0) all += (all.empty() ? "" : ", ") + std::to_string(seconds * 1e6);
  }
  if (world.rank() == 0)
    std::printf("{\"bytes\": %lld, \"microseconds\": [%s], \"stream_bytes_per_second\": %.4e}\n",
                static_cast<long long>(bytes), all.c_str(), memory);
}

}  // namespace
}  // namespace triga

int main(int argc, char** argv) {
  const auto world = triga::open_mpi_world({});
  for (int i = 2; i < argc; ++i) triga::measure(*world, std::stoll(argv[i]), std::stoi(argv[1]));
  world->finish();
}
