// Causal attention with dropout of its weights, as three matrix products and one pass between them.
//
// A weight and whether dropout keeps it are one number: the probability, negative where it is
// dropped. That is all that backward needs; the weights themselves are made from it again.
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "base/philox.h"
#include "ops/vector_math.h"
#include "triga/error.h"
#include "triga/ops.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLanes = 16;

struct Dropping {
  uint64_t key = 0, counter_high = 0;
  uint32_t threshold = 0;  // of a word; those below are dropped
};

/// keep[i]: word first + i of the stream is at least the threshold. Requires: first is a multiple
/// of 4, and so much room that size can be rounded up to a multiple of 64.
TRIGA_VECTOR void draw_row(uint8_t* keep, int64_t first, int64_t size, const Dropping& dropping) {
  uint32_t words[kLanes][4];
  for (int64_t i = 0; i < size; i += kLanes * 4) {
    for (int64_t lane = 0; lane < kLanes; ++lane)
      philox_block(dropping.key, dropping.counter_high,
                   static_cast<uint64_t>((first + i) / 4 + lane), words[lane]);
    const uint32_t* flat = &words[0][0];
    for (int64_t j = 0; j < kLanes * 4; ++j) keep[i + j] = flat[j] >= dropping.threshold;
  }
}

/// softmax(scale * x) of the first `size` elements in place, the sign saying what is dropped; the
/// rest becomes zero.
TRIGA_VECTOR void softmax_row(float* x, int64_t size, int64_t row_size, float scale,
                              const uint8_t* keep) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = -INFINITY;
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = lanes[j] < x[i + j] ? x[i + j] : lanes[j];
  float maximum = -INFINITY;
  for (; i < size; ++i) maximum = maximum < x[i] ? x[i] : maximum;
  for (float lane : lanes) maximum = maximum < lane ? lane : maximum;
  for (float& lane : lanes) lane = 0;
  for (i = 0; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) {
      const float shifted = (x[i + j] - maximum) * scale;
      x[i + j] = shifted == shifted ? fast_exp(shifted) : shifted;
      lanes[j] += x[i + j];
    }
  float sum = 0;
  for (; i < size; ++i) {
    const float shifted = (x[i] - maximum) * scale;
    x[i] = shifted == shifted ? fast_exp(shifted) : shifted;
    sum += x[i];
  }
  for (float lane : lanes) sum += lane;
  const float factor = 1.0f / sum;
  for (i = 0; i < size; ++i) {
    const float p = x[i] * factor;
    x[i] = keep[i] != 0 ? p : -p;
  }
  for (i = size; i < row_size; ++i) x[i] = 0.0f;
}

TRIGA_VECTOR void weights_of(const float* signed_p, float* weights, int64_t numel, float factor) {
  for (int64_t i = 0; i < numel; ++i) {
    const float p = signed_p[i];
    weights[i] = p < 0 ? 0.0f : p * factor;
  }
}

/// The gradient of the scores, in place of that of the weights (Dao et al. 2022, appendix B).
TRIGA_VECTOR void grad_row(const float* signed_p, float* grad, int64_t size, int64_t row_size,
                           float factor, float scale) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) {
      const float p = signed_p[i + j];
      lanes[j] += p < 0 ? 0.0f : grad[i + j] * factor * p;
    }
  float sum = 0;
  for (; i < size; ++i) sum += signed_p[i] < 0 ? 0.0f : grad[i] * factor * signed_p[i];
  for (float lane : lanes) sum += lane;
  for (i = 0; i < size; ++i) {
    const float p = signed_p[i];
    const float kept = p < 0 ? 0.0f : grad[i] * factor;
    grad[i] = (p < 0 ? -p : p) * (kept - sum) * scale;
  }
  for (i = size; i < row_size; ++i) grad[i] = 0.0f;
}

at::Tensor weights_of(const at::Tensor& signed_p, float factor) {
  at::Tensor weights = at::empty_like(signed_p);
  const auto* from = signed_p.const_data_ptr<float>();
  auto* to = weights.mutable_data_ptr<float>();
  parallel_for(signed_p.numel(), kElementsForAThread, [&](int64_t begin, int64_t end) {
    weights_of(from + begin, to + begin, end - begin, factor);
  });
  return weights;
}

struct CausalAttention : torch::autograd::Function<CausalAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, double p, const Dropping& dropping) {
    const int64_t num = q.size(0), time = q.size(1);
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(q.size(2))));
    const auto factor = static_cast<float>(1 / (1 - p));
    at::Tensor signed_p = at::bmm(q, k.transpose(1, 2));  // scores at first
    auto* scores = signed_p.mutable_data_ptr<float>();
    parallel_for(num * time, rows_for_a_thread(time), [&](int64_t begin, int64_t end) {
      std::vector<uint8_t> keep(static_cast<size_t>(time + 2 * kLanes * 4));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t size = i % time + 1, first = i * time, shift = first % 4;
        draw_row(keep.data(), first - shift, size + shift, dropping);
        softmax_row(scores + first, size, time, scale, keep.data() + shift);
      }
    });
    context->save_for_backward({q, k, v, signed_p});
    context->saved_data["factor"] = static_cast<double>(factor);
    context->saved_data["scale"] = static_cast<double>(scale);
    return at::bmm(weights_of(signed_p, factor), v);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &signed_p = saved[3];
    const auto factor = static_cast<float>(context->saved_data["factor"].toDouble());
    const auto scale = static_cast<float>(context->saved_data["scale"].toDouble());
    const int64_t num = q.size(0), time = q.size(1);
    const at::Tensor grad_v = at::bmm(weights_of(signed_p, factor).transpose(1, 2), grads[0]);
    at::Tensor grad_scores = at::bmm(grads[0], v.transpose(1, 2));  // of the weights at first
    auto* gradient = grad_scores.mutable_data_ptr<float>();
    const auto* p = signed_p.const_data_ptr<float>();
    parallel_for(num * time, rows_for_a_thread(time), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        grad_row(p + i * time, gradient + i * time, i % time + 1, time, factor, scale);
    });
    return {at::bmm(grad_scores, k), at::bmm(grad_scores.transpose(1, 2), q), grad_v, {}, {}};
  }
};

/// Elsewhere than on the CPU, of LibTorch's operations.
at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              double p, const LayerContext& context, std::string_view call_site) {
  const auto type = q.scalar_type();
  const int64_t time = q.size(1);
  const at::Tensor scores = at::bmm(q.to(at::kFloat), k.to(at::kFloat).transpose(1, 2))
                                .mul(1 / std::sqrt(static_cast<double>(q.size(2))));
  const at::Tensor later =
      at::ones({time, time}, q.options().dtype(at::kBool).requires_grad(false)).triu(1);
  const at::Tensor weights = at::softmax(scores.masked_fill(later, -INFINITY), -1);
  return at::bmm(dropout(weights, p, context, call_site), v.to(at::kFloat)).to(type);
}

}  // namespace

at::Tensor causal_attention_with_dropout(const at::Tensor& q, const at::Tensor& k,
                                         const at::Tensor& v, double p, const LayerContext& context,
                                         std::string_view call_site) {
  TRIGA_CHECK(p >= 0 && p < 1, "dropout probability ", p);
  TRIGA_CHECK(q.dim() == 3 && q.sizes() == k.sizes() && k.size(1) == v.size(1), "attention of ",
              q.sizes(), " to ", k.sizes());
  if (!q.is_cpu()) return composed_attention(q, k, v, p, context, call_site);
  Dropping dropping;
  dropping.key = context.random_key(call_site).value();
  dropping.counter_high = static_cast<uint64_t>(context.batch().microbatch);
  dropping.threshold = context.training() ? static_cast<uint32_t>(p * 4294967296.0) : uint32_t{0};
  const double active = context.training() ? p : 0.0;
  const auto type = q.scalar_type();
  return CausalAttention::apply(q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat), active,
                                dropping)
      .to(type);
}

}  // namespace triga
