#include "optim/gradient_norm.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>

#include "base/parallel.h"
#include "base/vector.h"
#include "triga/error.h"

namespace triga {

TRIGA_VECTOR static double sum_of_squares(const float* x, int64_t numel) {
  constexpr int64_t kLanes = 32;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= numel; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      sums[lane] += value * value;
    }
  for (; i < numel; ++i) sums[i % kLanes] += static_cast<double>(x[i]) * x[i];
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

double sum_of_squares(const at::Tensor& tensor) {
  TRIGA_CHECK(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat && tensor.is_cpu(),
              "sum_of_squares needs contiguous fp32 on the CPU");
  // Pieces of one length whatever the number of threads, added up in order.
  constexpr int64_t kPiece = 1 << 16;
  const int64_t numel = tensor.numel(), num_pieces = (numel + kPiece - 1) / kPiece;
  const auto* x = tensor.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(num_pieces));
  parallel_for(num_pieces, /*grain=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      sums[static_cast<size_t>(i)] =
          sum_of_squares(x + i * kPiece, std::min(kPiece, numel - i * kPiece));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double sum_of_squares(const std::vector<at::Tensor>& tensors) {
  double sum = 0;
  at::Tensor on_device;  // of those that are not on the CPU
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_cpu()) {
      sum += sum_of_squares(tensor);
      continue;
    }
    const at::Tensor squares =
        at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kDouble).square();
    on_device = on_device.defined() ? on_device.add(squares) : squares;
  }
  return on_device.defined() ? sum + on_device.item<double>() : sum;
}

}  // namespace triga
