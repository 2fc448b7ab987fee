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
  /// Of the graph as well, which may live longer than the run that made it.
  struct Slot : torch::CustomClassHolder {
    at::Tensor gradient;
  };
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const c10::intrusive_ptr<Slot>& slot) {
    context->saved_data["slot"] = c10::IValue::make_capsule(slot);
    return input.detach();
  }
  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const auto capsule = context->saved_data["slot"].toCapsule();
    static_cast<Slot*>(capsule.get())->gradient = grad_outputs[0];
    return {at::Tensor(), at::Tensor()};
  }
};

/// The function, from its inputs alone on. Both runs are this one, with gradients recorded: operators
/// choose their kernels by that (an LSTM of oneDNN where nothing is recorded), and kernels round
/// differently.
struct Run {
  Run(const Function& function, at::ArrayRef<at::Tensor> inputs) {
    const c10::AutoGradMode grad(true);
    Tensors own;
    for (const at::Tensor& input : inputs) {
      slots.push_back(c10::make_intrusive<Catch::Slot>());
      const bool needs_gradient = input.defined() && input.requires_grad();
      const at::Tensor alone = input.defined() ? input.detach() : at::Tensor();
      own.push_back(needs_gradient ? Catch::apply(alone.set_requires_grad(true), slots.back())
                                   : alone);
    }
    outputs = function(own);
  }
  Tensors outputs;
  std::vector<c10::intrusive_ptr<Catch::Slot>> slots;  // of the inputs; filled by a backward pass
};

struct Recompute : torch::autograd::Function<Recompute> {
  /// `inputs`: the marker, then those of the function.
  static variable_list forward(AutogradContext* context, const ::triga::Function& function,
                               at::TensorList inputs) {
    const variable_list list(inputs.begin(), inputs.end());
    context->save_for_backward(list);
    context->saved_data["function"] =
        c10::IValue::make_capsule(c10::make_intrusive<Capsule>(function));
    variable_list outputs;  // what was recorded is dropped here
    for (const at::Tensor& output : Run(function, at::ArrayRef(list).slice(1)).outputs)
      outputs.push_back(output.defined() ? output.detach() : output);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const auto capsule = context->saved_data["function"].toCapsule();
    const ::triga::Function& function = static_cast<Capsule*>(capsule.get())->function;
    const variable_list saved = context->get_saved_variables();
    const Run again(function, at::ArrayRef(saved).slice(1));
    variable_list roots, gradients;
    for (size_t i = 0; i < again.outputs.size(); ++i) {
      const at::Tensor& output = again.outputs[i];
      if (!output.defined() || !output.requires_grad() || !grad_outputs[i].defined()) continue;
      roots.push_back(output);
      gradients.push_back(grad_outputs[i]);
    }
    if (!roots.empty()) torch::autograd::backward(roots, gradients);
    variable_list grad_inputs = {at::Tensor(), at::Tensor()};  // of the function, of the marker
    for (const auto& slot : again.slots) grad_inputs.push_back(slot->gradient);
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
