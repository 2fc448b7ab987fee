// Operations for layers: what LibTorch has not, or not as fast. Each gives what the operation of
// LibTorch that it names gives, up to rounding. All work on fp32 and bf16 on the CPU and on CUDA
// devices, and can be mixed freely with LibTorch's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "triga/layer.h"

namespace triga {

/// Inverted dropout (Srivastava et al. 2014): zero with probability p, else x / (1 - p). The mask
/// is a pure function of (seed, step, layer, call site) and (microbatch, element): the same on
/// every layout and under recomputation. x: any shape and floating type. Identity unless training.
/// Requires: 0 <= p < 1.
at::Tensor dropout(const at::Tensor& x, double p, const LayerContext& context,
                   std::string_view call_site);

/// residual + dropout(x, ...), in one pass. Requires: the same shape.
at::Tensor dropout_add(const at::Tensor& residual, const at::Tensor& x, double p,
                       const LayerContext& context, std::string_view call_site);

enum class WeightLayout {
  kOutIn,  // as torch.nn.Linear: y = x W^T + b
  kInOut   // as transformers' Conv1D: y = x W + b
};

/// An affine map of the last dimension. `bias` may be null. The weight's gradient is written where
/// gradients are reduced, without a copy. x: [..., in]; result: [..., out].
at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias,
                  WeightLayout layout = WeightLayout::kOutIn);

/// Rows of `weight` [n, d] by `index` int64 [...]: [..., d]. Where the weight is shared with a
/// later linear(), only the rows that were read are touched.
at::Tensor embedding(const at::Tensor& index, const Parameter& weight);

/// GELU in its tanh form (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715
/// x^3))).
at::Tensor gelu_tanh(const at::Tensor& x);

/// The sum of -log softmax(logits)[label] over rows whose label is not `ignored`, in fp32.
/// `logits`: [n, classes]; `labels`: int64 [n], 0 <= label < classes or ignored. Throws: Error for
/// another label. Keeps no probabilities: backward makes the gradient from the logits in one pass.
at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& labels,
                             int64_t ignored = -100);

/// softmax(q k^T / sqrt(size)) v, where position i sees positions up to i, with dropout of the
/// weights as dropout() draws it for a tensor [n, time, time]. Keeps one such tensor for backward.
/// q, k, v: [n, time, size], n sequences and heads. Computed in fp32 (bf16 is converted).
at::Tensor causal_attention_with_dropout(const at::Tensor& q, const at::Tensor& k,
                                         const at::Tensor& v, double p, const LayerContext& context,
                                         std::string_view call_site);

}  // namespace triga
