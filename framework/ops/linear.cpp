#include <ATen/ops/addmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "triga/ops.h"

namespace triga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// How a parameter's handle travels inside an AutogradContext.
struct Handle : torch::CustomClassHolder {
  explicit Handle(Parameter parameter) : parameter(std::move(parameter)) {}
  Parameter parameter;
};

void keep(AutogradContext* context, const Parameter& parameter) {
  context->saved_data["parameter"] =
      c10::IValue::make_capsule(c10::make_intrusive<Handle>(parameter));
}

Parameter kept(AutogradContext* context) {
  const auto capsule = context->saved_data["parameter"].toCapsule();
  return static_cast<Handle*>(capsule.get())->parameter;
}

/// a b, where the gradient of a parameter belongs, if that is possible.
at::Tensor weight_gradient(const Parameter& weight, const at::Tensor& a, const at::Tensor& b) {
  bool accumulate = false;
  at::Tensor destination = weight.gradient_destination(accumulate);
  if (!destination.defined()) return at::mm(a, b);
  if (accumulate)
    destination.addmm_(a, b);
  else
    at::mm_out(destination, a, b);
  return destination;
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const Parameter& handle,
                            bool in_out) {
    context->save_for_backward({x, weight});
    context->saved_data["in_out"] = in_out;
    context->saved_data["has_bias"] = bias.has_value();
    keep(context, handle);
    const at::Tensor matrix = in_out ? weight : weight.t();
    return bias ? at::addmm(*bias, x, matrix) : at::mm(x, matrix);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &grad = grads[0];
    const bool in_out = context->saved_data["in_out"].toBool();
    variable_list results(5);
    if (context->needs_input_grad(0)) results[0] = at::mm(grad, in_out ? weight.t() : weight);
    if (context->needs_input_grad(1))
      results[1] = in_out ? weight_gradient(kept(context), x.t(), grad)
                          : weight_gradient(kept(context), grad.t(), x);
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(2))
      results[2] = grad.sum(0);
    return results;
  }
};

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& index,
                            const at::Tensor& weight, const Parameter& handle) {
    context->save_for_backward({index});
    context->saved_data["num_rows"] = weight.size(0);
    keep(context, handle);
    return at::embedding(weight, index);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const at::Tensor index = context->get_saved_variables()[0];
    const int64_t num_rows = context->saved_data["num_rows"].toInt();
    const at::Tensor& grad = grads[0];
    at::Tensor begun = kept(context).begun_gradient();
    if (!begun.defined() || !grad.is_cpu() || grad.scalar_type() != begun.scalar_type())
      return {at::Tensor(),
              at::embedding_dense_backward(grad, index, num_rows, /*padding_idx=*/-1, false),
              at::Tensor()};
    const at::Tensor rows = grad.reshape({-1, grad.size(-1)}).contiguous();
    const at::Tensor flat = index.reshape({-1}).contiguous();
    const int64_t width = rows.size(1);
    const auto* from = rows.const_data_ptr<float>();
    const auto* row_of = flat.const_data_ptr<int64_t>();
    auto* to = begun.mutable_data_ptr<float>();
    for (int64_t i = 0; i < flat.numel(); ++i, from += width) {
      float* row = to + row_of[i] * width;
      for (int64_t j = 0; j < width; ++j) row[j] += from[j];
    }
    return {at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias,
                  WeightLayout layout) {
  const bool in_out = layout == WeightLayout::kInOut;
  const at::Tensor rows = x.dim() == 2 ? x : x.reshape({-1, x.size(-1)});
  const at::Tensor y =
      Linear::apply(rows, weight.tensor(),
                    bias == nullptr ? std::optional<at::Tensor>() : bias->tensor(), weight, in_out);
  if (x.dim() == 2) return y;
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = y.size(1);
  return y.view(shape);
}

at::Tensor embedding(const at::Tensor& index, const Parameter& weight) {
  return Embedding::apply(index, weight.tensor(), weight);
}

}  // namespace triga
