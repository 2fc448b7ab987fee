#include "parallel/pipeline/recompute.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace triga {
namespace {

using Function = std::function<Tensors(const Tensors&)>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// How a function travels inside an AutogradContext.
struct Capsule : torch::CustomClassHolder {
  explicit Capsule(Function function) : function(std::move(function)) {}
  Function function;
};

/// Passes its input on, and keeps the gradient that comes back, in the layout that it comes in: as
/// the .grad() of a leaf it would get that of the leaf, which sums add up in another order.
struct Catch : torch::autograd::Function<Catch> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            at::Tensor* gradient) {
    context->saved_data["gradient"] = reinterpret_cast<int64_t>(gradient);
    return input.detach();
  }
  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    *reinterpret_cast<at::Tensor*>(context->saved_data["gradient"].toInt()) = grad_outputs[0];
    return {at::Tensor(), at::Tensor()};
  }
};

/// The function, from its inputs alone on. Both runs are this one, with gradients recorded: operators
/// choose their kernels by that (an LSTM of oneDNN where nothing is recorded), and kernels round
/// differently. `gradients`: of the inputs, filled in by a backward pass; must outlive it.
Tensors run(const Function& function, const variable_list& inputs, Tensors& gradients) {
  const c10::AutoGradMode grad(true);
  gradients.assign(inputs.size(), at::Tensor());
  Tensors own;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool needs_gradient = inputs[i].defined() && inputs[i].requires_grad();
    const at::Tensor input = inputs[i].defined() ? inputs[i].detach() : at::Tensor();
    own.push_back(needs_gradient ? Catch::apply(input.set_requires_grad(true), &gradients[i])
                                 : input);
  }
  return function(own);
}

struct Recompute : torch::autograd::Function<Recompute> {
  /// `inputs`: the marker, then those of the function.
  static variable_list forward(AutogradContext* context, const ::triga::Function& function,
                               at::TensorList inputs) {
    const variable_list list(inputs.begin(), inputs.end());
    context->save_for_backward(list);
    context->saved_data["function"] =
        c10::IValue::make_capsule(c10::make_intrusive<Capsule>(function));
    Tensors gradients;  // stay empty: what was recorded is dropped here
    variable_list outputs = run(function, {list.begin() + 1, list.end()}, gradients);
    for (at::Tensor& output : outputs)
      if (output.defined()) output = output.detach();
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const auto capsule = context->saved_data["function"].toCapsule();
    const ::triga::Function& function = static_cast<Capsule*>(capsule.get())->function;
    const variable_list saved = context->get_saved_variables();
    Tensors gradients;
    const Tensors outputs = run(function, {saved.begin() + 1, saved.end()}, gradients);
    const c10::AutoGradMode grad(true);
    variable_list roots, given;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].defined() || !outputs[i].requires_grad() || !grad_outputs[i].defined())
        continue;
      roots.push_back(outputs[i]);
      given.push_back(grad_outputs[i]);
    }
    if (!roots.empty()) torch::autograd::backward(roots, given);
    variable_list grad_inputs = {at::Tensor(), at::Tensor()};  // of the function, of the marker
    grad_inputs.insert(grad_inputs.end(), gradients.begin(), gradients.end());
    return grad_inputs;
  }
};

}  // namespace

Tensors recomputed(const Function& function, const Tensors& inputs, bool has_trainable) {
  const bool needs_backward =
      has_trainable || std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& input) {
        return input.defined() && input.requires_grad();
      });
  if (!c10::GradMode::is_enabled() || !needs_backward) return function(inputs);
  // The marker makes autograd come back although no input may need a gradient: parameters do.
  variable_list list = {at::empty({0}).set_requires_grad(true)};
  list.insert(list.end(), inputs.begin(), inputs.end());
  return Recompute::apply(function, at::TensorList(list));
}

}  // namespace triga
