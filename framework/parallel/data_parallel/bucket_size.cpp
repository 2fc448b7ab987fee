#include "parallel/data_parallel/bucket_size.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace triga {
namespace {

constexpr int64_t kSmallest = 256 << 10, kLargest = 32 << 20;
constexpr double kNearTheBest = 0.8;
constexpr int kRepetitions = 5;

/// Of the fastest of several; as the slowest rank sees it.
double seconds_of_reduction(Communicator& data, const at::Tensor& buffer) {
  double best = 1e9;
  for (int i = 0; i < kRepetitions; ++i) {
    data.barrier("bucket size");
    const auto start = std::chrono::steady_clock::now();
    data.all_reduce(buffer, ReduceOp::kSum, "bucket size").synchronize();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  data.all_reduce_values({&best, 1}, ReduceOp::kMax, "bucket size");
  return best;
}

}  // namespace

int64_t measure_bucket_bytes(Communicator& data, int64_t gradient_bytes) {
  const int64_t largest = std::clamp(gradient_bytes, kSmallest, kLargest);
  // Memory of a group goes with it.
  const auto group = data.split(0, "bucket size");
  const at::Tensor buffer = group->allocate(largest / int64_t{sizeof(float)}, at::kFloat);
  std::vector<std::pair<int64_t, double>> speeds;  // bytes, bytes a second
  double best = 0;
  for (int64_t bytes = kSmallest; bytes <= largest; bytes *= 2) {
    const auto piece = buffer.narrow(0, 0, bytes / int64_t{sizeof(float)});
    const double speed = static_cast<double>(bytes) / seconds_of_reduction(*group, piece);
    speeds.emplace_back(bytes, speed);
    best = std::max(best, speed);
  }
  for (const auto& [bytes, speed] : speeds)
    if (speed >= kNearTheBest * best) return bytes;
  return speeds.back().first;
}

}  // namespace triga
