// triga::dropout: the mask comes from a counter, not from a generator with a state.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/philox.h"
#include "triga/layer.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// keep[i] = 1 where element i stays: word i of the stream is at least `threshold`.
__attribute__((target_clones("avx512f", "avx2", "default"))) void fill_keep_mask(
    uint8_t* keep, int64_t numel, uint64_t key, uint64_t counter_high, uint32_t threshold) {
  constexpr int64_t kLanes = 16;  // blocks at a time: what the compiler turns into vectors
  int64_t block = 0;
  uint32_t words[kLanes][4];
  for (; (block + kLanes) * 4 <= numel; block += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane)
      philox_block(key, counter_high, static_cast<uint64_t>(block + lane), words[lane]);
    const uint32_t* flat = &words[0][0];
    for (int64_t i = 0; i < kLanes * 4; ++i) keep[block * 4 + i] = flat[i] >= threshold;
  }
  for (int64_t i = block * 4; i < numel; ++i) {
    if (i % 4 == 0) philox_block(key, counter_high, static_cast<uint64_t>(i / 4), words[0]);
    keep[i] = words[0][i % 4] >= threshold;
  }
}

void apply_mask(const float* x, const uint8_t* keep, float scale, float* y, int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) y[i] = keep[i] ? x[i] * scale : 0.0f;
}

at::Tensor masked(const at::Tensor& x, const at::Tensor& keep, double scale) {
  if (x.scalar_type() != at::kFloat) return x.mul(keep.to(x.scalar_type())).mul(scale);
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty_like(dense);
  apply_mask(dense.const_data_ptr<float>(), keep.const_data_ptr<uint8_t>(),
             static_cast<float>(scale), y.mutable_data_ptr<float>(), dense.numel());
  return y;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& keep,
                            double scale) {
    context->save_for_backward({keep});
    context->saved_data["scale"] = scale;
    return masked(x, keep, scale);
  }
  static variable_list backward(AutogradContext* context, variable_list grad) {
    const at::Tensor keep = context->get_saved_variables()[0];
    return {masked(grad[0], keep, context->saved_data["scale"].toDouble()), {}, {}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const LayerContext& context,
                   std::string_view call_site) {
  TRIGA_CHECK(p >= 0 && p < 1, "dropout probability ", p);
  if (!context.training() || p == 0) return x;
  TRIGA_CHECK(x.is_cpu(), "dropout has no kernel for ", x.device());
  at::Tensor keep = at::empty(x.sizes(), x.options().dtype(at::kByte).requires_grad(false));
  fill_keep_mask(keep.mutable_data_ptr<uint8_t>(), x.numel(), context.random_key(call_site).value(),
                 static_cast<uint64_t>(context.batch().microbatch),
                 static_cast<uint32_t>(p * 4294967296.0));
  return Dropout::apply(x, keep, 1.0 / (1.0 - p));
}

}  // namespace triga
