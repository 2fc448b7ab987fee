// triga::dropout: the mask comes from a counter, not from a generator with a state.
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/BFloat16.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "base/parallel.h"
#include "base/philox.h"
#include "ops/device_kernels.h"
#include "ops/vector_math.h"
#include "triga/ops.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// keep[i] = 1 where element i stays: word i of the stream is at least `threshold`. For i in
/// [first, end); `first` is a multiple of 4.
TRIGA_VECTOR void fill_keep_mask(uint8_t* keep, int64_t first, int64_t end, uint64_t key,
                                 uint64_t counter_high, uint32_t threshold) {
  constexpr int64_t kLanes = 16;  // blocks at a time: what the compiler turns into vectors
  int64_t block = first / 4;
  uint32_t words[kLanes][4];
  for (; (block + kLanes) * 4 <= end; block += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane)
      philox_block(key, counter_high, static_cast<uint64_t>(block + lane), words[lane]);
    const uint32_t* flat = &words[0][0];
    for (int64_t i = 0; i < kLanes * 4; ++i) keep[block * 4 + i] = flat[i] >= threshold;
  }
  for (int64_t i = block * 4; i < end; ++i) {
    if (i % 4 == 0) philox_block(key, counter_high, static_cast<uint64_t>(i / 4), words[0]);
    keep[i] = words[0][i % 4] >= threshold;
  }
}

/// y = keep ? x * scale : 0. A product with 0 or 1 would let a NaN of a dropped element through.
TRIGA_VECTOR void mask_kernel(const float* x, const uint8_t* keep, float scale, float* y,
                              int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) {
    const float kept = x[i] * scale;
    y[i] = keep[i] != 0 ? kept : 0.0f;
  }
}

TRIGA_VECTOR void mask_add_kernel(const float* x, const uint8_t* keep, float scale,
                                  const float* residual, float* y, int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) {
    const float kept = x[i] * scale;
    y[i] = residual[i] + (keep[i] != 0 ? kept : 0.0f);
  }
}

void mask_kernel(const c10::BFloat16* x, const uint8_t* keep, float scale, c10::BFloat16* y,
                 int64_t numel) {
  for (int64_t i = 0; i < numel; ++i)
    y[i] = keep[i] != 0 ? c10::BFloat16(static_cast<float>(x[i]) * scale) : c10::BFloat16(0.0f);
}

at::Tensor masked(const at::Tensor& x, const at::Tensor& keep, double scale) {
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty_like(dense);
  const auto* mask = keep.const_data_ptr<uint8_t>();
  const auto factor = static_cast<float>(scale);
  const auto run = [&](const auto* from, auto* to) {
    parallel_for(dense.numel(), kElementsForAThread, [&](int64_t begin, int64_t end) {
      mask_kernel(from + begin, mask + begin, factor, to + begin, end - begin);
    });
  };
  if (x.scalar_type() == at::kFloat)
    run(dense.const_data_ptr<float>(), y.mutable_data_ptr<float>());
  else if (x.scalar_type() == at::kBFloat16)
    run(dense.const_data_ptr<c10::BFloat16>(), y.mutable_data_ptr<c10::BFloat16>());
  else
    return x.mul(keep.to(x.scalar_type())).mul(scale);
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

struct DropoutAdd : torch::autograd::Function<DropoutAdd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual,
                            const at::Tensor& x, const at::Tensor& keep, double scale) {
    context->save_for_backward({keep});
    context->saved_data["scale"] = scale;
    if (x.scalar_type() != at::kFloat || residual.scalar_type() != at::kFloat)
      return at::add(residual, masked(x, keep, scale));
    const at::Tensor dense = x.contiguous(), base = residual.contiguous();
    at::Tensor y = at::empty_like(dense);
    const auto *from = dense.const_data_ptr<float>(), *add = base.const_data_ptr<float>();
    const auto* mask = keep.const_data_ptr<uint8_t>();
    auto* to = y.mutable_data_ptr<float>();
    parallel_for(dense.numel(), kElementsForAThread, [&](int64_t begin, int64_t end) {
      mask_add_kernel(from + begin, mask + begin, static_cast<float>(scale), add + begin,
                      to + begin, end - begin);
    });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grad) {
    const at::Tensor keep = context->get_saved_variables()[0];
    return {grad[0], masked(grad[0], keep, context->saved_data["scale"].toDouble()), {}, {}};
  }
};

/// Elsewhere than on the CPU: nothing is kept for backward, which draws the mask again.
struct DeviceDropout : torch::autograd::Function<DeviceDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& residual, const Masking& masking) {
    context->saved_data["key"] = static_cast<int64_t>(masking.key);
    context->saved_data["counter"] = static_cast<int64_t>(masking.counter_high);
    context->saved_data["threshold"] = static_cast<int64_t>(masking.threshold);
    context->saved_data["scale"] = static_cast<double>(masking.scale);
    context->saved_data["has_residual"] = residual.has_value();
    return device_kernels().mask(x.contiguous(), residual ? residual->contiguous() : at::Tensor(),
                                 masking);
  }
  static variable_list backward(AutogradContext* context, variable_list grad) {
    Masking masking;
    masking.key = static_cast<uint64_t>(context->saved_data["key"].toInt());
    masking.counter_high = static_cast<uint64_t>(context->saved_data["counter"].toInt());
    masking.threshold = static_cast<uint32_t>(context->saved_data["threshold"].toInt());
    masking.scale = static_cast<float>(context->saved_data["scale"].toDouble());
    const at::Tensor of_x = device_kernels().mask(grad[0].contiguous(), at::Tensor(), masking);
    const bool has_residual = context->saved_data["has_residual"].toBool();
    return {of_x, has_residual ? grad[0] : at::Tensor(), at::Tensor()};
  }
};

Masking masking_of(double p, const LayerContext& context, std::string_view call_site) {
  Masking masking;
  masking.key = context.random_key(call_site).value();
  masking.counter_high = static_cast<uint64_t>(context.batch().microbatch);
  masking.threshold = static_cast<uint32_t>(p * 4294967296.0);
  masking.scale = static_cast<float>(1.0 / (1.0 - p));
  return masking;
}

/// uint8 in the shape of x.
at::Tensor keep_mask(const at::Tensor& x, const Masking& masking) {
  at::Tensor keep = at::empty(x.sizes(), x.options().dtype(at::kByte).requires_grad(false));
  auto* to = keep.mutable_data_ptr<uint8_t>();
  constexpr int64_t kBlock = 4;  // elements of one Philox block: never cut
  parallel_for((x.numel() + kBlock - 1) / kBlock, kElementsForAThread / kBlock,
               [&](int64_t begin, int64_t end) {
                 fill_keep_mask(to, begin * kBlock, std::min(end * kBlock, x.numel()), masking.key,
                                masking.counter_high, masking.threshold);
               });
  return keep;
}

bool is_identity(double p, const LayerContext& context) {
  TRIGA_CHECK(p >= 0 && p < 1, "dropout probability ", p);
  return !context.training() || p == 0;
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const LayerContext& context,
                   std::string_view call_site) {
  if (is_identity(p, context)) return x;
  const Masking masking = masking_of(p, context, call_site);
  if (!x.is_cpu()) return DeviceDropout::apply(x, std::optional<at::Tensor>(), masking);
  return Dropout::apply(x, keep_mask(x, masking), 1.0 / (1.0 - p));
}

at::Tensor dropout_add(const at::Tensor& residual, const at::Tensor& x, double p,
                       const LayerContext& context, std::string_view call_site) {
  TRIGA_CHECK(residual.sizes() == x.sizes(), "dropout_add of ", residual.sizes(), " and ",
              x.sizes());
  if (is_identity(p, context)) return at::add(residual, x);
  const Masking masking = masking_of(p, context, call_site);
  if (!x.is_cpu() && residual.scalar_type() != x.scalar_type())
    return at::add(residual, DeviceDropout::apply(x, std::optional<at::Tensor>(), masking));
  if (!x.is_cpu()) return DeviceDropout::apply(x, std::optional<at::Tensor>(residual), masking);
  return DropoutAdd::apply(residual, x, keep_mask(x, masking), 1.0 / (1.0 - p));
}

}  // namespace triga
