#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "base/parallel.h"
#include "ops/vector_math.h"
#include "triga/error.h"
#include "triga/ops.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLanes = 16;

TRIGA_VECTOR float row_maximum(const float* x, int64_t size) {
  float lanes[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) lanes[j] = -INFINITY;
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = lanes[j] < x[i + j] ? x[i + j] : lanes[j];
  float maximum = -INFINITY;
  for (; i < size; ++i) maximum = maximum < x[i] ? x[i] : maximum;
  for (int64_t j = 0; j < kLanes; ++j) maximum = maximum < lanes[j] ? lanes[j] : maximum;
  return maximum;
}

/// Sum of exp(x - maximum), in a fixed order; a NaN anywhere gives NaN.
TRIGA_VECTOR float sum_of_exp(const float* x, int64_t size, float maximum) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) {
      const float shifted = x[i + j] - maximum;
      lanes[j] += shifted == shifted ? fast_exp(shifted) : shifted;
    }
  float sum = 0;
  for (; i < size; ++i) {
    const float shifted = x[i] - maximum;
    sum += shifted == shifted ? fast_exp(shifted) : shifted;
  }
  for (int64_t j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

TRIGA_VECTOR void softmax_times(const float* x, float* out, int64_t size, float log_sum,
                                float scale) {
  for (int64_t i = 0; i < size; ++i) out[i] = fast_exp(x[i] - log_sum) * scale;
}

struct CrossEntropy : torch::autograd::Function<CrossEntropy> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& labels, int64_t ignored) {
    const at::Tensor x = logits.contiguous(), y = labels.contiguous();
    const int64_t num_rows = x.size(0), num_classes = x.size(1);
    at::Tensor log_sums = at::empty({num_rows}, at::kFloat);
    const auto* row = x.const_data_ptr<float>();
    const auto* label = y.const_data_ptr<int64_t>();
    auto* log_sum = log_sums.mutable_data_ptr<float>();
    for (int64_t i = 0; i < num_rows; ++i)
      TRIGA_CHECK(label[i] == ignored || (0 <= label[i] && label[i] < num_classes), "label ",
                  label[i], " of ", num_classes, " classes");
    parallel_for(num_rows, rows_for_a_thread(num_classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (label[i] == ignored) continue;
        const float* x_i = row + i * num_classes;
        const float maximum = row_maximum(x_i, num_classes);
        log_sum[i] = maximum + std::log(sum_of_exp(x_i, num_classes, maximum));
      }
    });
    double loss = 0;
    for (int64_t i = 0; i < num_rows; ++i)
      if (label[i] != ignored)
        loss +=
            static_cast<double>(log_sum[i]) - static_cast<double>(row[i * num_classes + label[i]]);
    context->save_for_backward({x, y, log_sums});
    context->saved_data["ignored"] = ignored;
    return at::scalar_tensor(loss, at::kFloat);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &y = saved[1], &log_sums = saved[2];
    const int64_t ignored = context->saved_data["ignored"].toInt();
    const auto scale = grads[0].item<float>();
    const int64_t num_rows = x.size(0), num_classes = x.size(1);
    at::Tensor result = at::empty_like(x);
    const auto* row = x.const_data_ptr<float>();
    const auto* label = y.const_data_ptr<int64_t>();
    const auto* log_sum = log_sums.const_data_ptr<float>();
    auto* out = result.mutable_data_ptr<float>();
    parallel_for(num_rows, rows_for_a_thread(num_classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* out_i = out + i * num_classes;
        if (label[i] == ignored) {
          std::fill_n(out_i, num_classes, 0.0f);
          continue;
        }
        softmax_times(row + i * num_classes, out_i, num_classes, log_sum[i], scale);
        out_i[label[i]] -= scale;
      }
    });
    return {result, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& labels, int64_t ignored) {
  TRIGA_CHECK(logits.dim() == 2 && labels.dim() == 1 && labels.size(0) == logits.size(0), "logits ",
              logits.sizes(), " for labels ", labels.sizes());
  if (!logits.is_cpu())
    return at::cross_entropy_loss(logits.to(at::kFloat), labels, {}, at::Reduction::Sum, ignored);
  return CrossEntropy::apply(logits.to(at::kFloat), labels, ignored);
}

}  // namespace triga
