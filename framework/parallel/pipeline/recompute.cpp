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

struct Recompute : torch::autograd::Function<Recompute> {
  static variable_list forward(AutogradContext* context, const ::triga::Function& function,
                               at::TensorList inputs) {
    const variable_list list(inputs.begin(), inputs.end());
    context->save_for_backward(list);
    context->saved_data["function"] =
        c10::IValue::make_capsule(c10::make_intrusive<Capsule>(function));
    const c10::AutoGradMode no_grad(false);
    return function(Tensors(list.begin() + 1, list.end()));
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const auto capsule = context->saved_data["function"].toCapsule();
    const ::triga::Function& function = static_cast<Capsule*>(capsule.get())->function;
    const variable_list saved = context->get_saved_variables();
    Tensors inputs;
    for (size_t i = 1; i < saved.size(); ++i)
      inputs.push_back(saved[i].defined()
                           ? saved[i].detach().set_requires_grad(saved[i].requires_grad())
                           : at::Tensor());
    const c10::AutoGradMode grad(true);
    const Tensors outputs = function(inputs);
    variable_list roots, gradients;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].defined() || !outputs[i].requires_grad() || !grad_outputs[i].defined())
        continue;
      roots.push_back(outputs[i]);
      gradients.push_back(grad_outputs[i]);
    }
    if (!roots.empty()) torch::autograd::backward(roots, gradients);
    variable_list grad_inputs = {at::Tensor(), at::Tensor()};  // of the function, of the marker
    for (const at::Tensor& input : inputs)
      grad_inputs.push_back(input.defined() && input.requires_grad() ? input.grad() : at::Tensor());
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
