#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/parallel.h"
#include "ops/vector_math.h"
#include "triga/ops.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kAlpha = 0.7978845608028654f;  // sqrt(2 / pi)
constexpr float kBeta = 0.044715f;

TRIGA_VECTOR void forward_kernel(const float* x, float* y, int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) {
    const float v = x[i];
    y[i] = 0.5f * v * (1.0f + fast_tanh(kAlpha * (v + kBeta * v * v * v)));
  }
}

TRIGA_VECTOR void backward_kernel(const float* x, const float* grad, float* out, int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) {
    const float v = x[i];
    const float t = fast_tanh(kAlpha * (v + kBeta * v * v * v));
    const float inner = kAlpha * (1.0f + 3.0f * kBeta * v * v);
    out[i] = grad[i] * (0.5f * (1.0f + t) + 0.5f * v * (1.0f - t * t) * inner);
  }
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    const at::Tensor dense = x.contiguous();
    context->save_for_backward({dense});
    at::Tensor y = at::empty_like(dense);
    const auto* from = dense.const_data_ptr<float>();
    auto* to = y.mutable_data_ptr<float>();
    parallel_for(y.numel(), kElementsForAThread, [&](int64_t begin, int64_t end) {
      forward_kernel(from + begin, to + begin, end - begin);
    });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor grad = grads[0].contiguous();
    at::Tensor out = at::empty_like(x);
    const auto *from = x.const_data_ptr<float>(), *gradient = grad.const_data_ptr<float>();
    auto* to = out.mutable_data_ptr<float>();
    parallel_for(out.numel(), kElementsForAThread, [&](int64_t begin, int64_t end) {
      backward_kernel(from + begin, gradient + begin, to + begin, end - begin);
    });
    return {out};
  }
};

}  // namespace

at::Tensor gelu_tanh(const at::Tensor& x) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return at::gelu(x, "tanh");
  return Gelu::apply(x);
}

}  // namespace triga
