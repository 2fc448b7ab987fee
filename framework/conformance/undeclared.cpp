#include "conformance/undeclared.h"

#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <unordered_set>
#include <vector>

#include "conformance/cut_model.h"

namespace triga::conformance {
namespace {

using torch::autograd::AccumulateGrad;
using torch::autograd::Node;

/// Tensors whose gradients a backward pass from `roots` would make, without recursion: graphs are
/// deep.
std::vector<at::Tensor> leaves_behind(const std::vector<at::Tensor>& roots) {
  std::vector<at::Tensor> leaves;
  std::vector<Node*> open;
  std::unordered_set<Node*> seen;
  const auto visit = [&](Node* node) {
    if (node != nullptr && seen.insert(node).second) open.push_back(node);
  };
  for (const at::Tensor& root : roots) visit(root.grad_fn().get());
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    if (const auto* leaf = dynamic_cast<AccumulateGrad*>(node)) leaves.push_back(leaf->variable);
    for (const auto& edge : node->next_edges()) visit(edge.function.get());
  }
  return leaves;
}

}  // namespace

Problems everything_trained_is_declared(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const Batch batch = subject.batch(*model, 0, 3);
  CutModel cut = CutModel::everywhere(*model);
  std::unordered_set<const void*> known;  // memory of parameters, and of what layers are given
  for (const StoredParameter& parameter : cut.parameters().parameters())
    known.insert(parameter.value.storage().data());
  const std::vector<StageRun> runs = cut.forward(batch);
  for (const StageRun& run : runs)
    for (const auto& [name, tensor] : run.inputs)
      if (tensor.defined()) known.insert(tensor.storage().data());
  for (size_t i = 0; i < runs.size(); ++i) {
    std::vector<at::Tensor> roots;
    for (const auto& [name, tensor] : runs[i].outputs)
      if (tensor.defined()) roots.push_back(tensor);
    for (const LossTerm& term : runs[i].losses) roots.push_back(term.sum);
    for (const at::Tensor& leaf : leaves_behind(roots))
      if (!known.contains(leaf.storage().data()))
        problems.push_back(c10::str("layer ", cut.layer_name(i),
                                    " uses a tensor that requires a gradient, of shape ",
                                    leaf.sizes(),
                                    ", and did not declare it: parameter(name, "
                                    "shape, init) makes one that is trained and saved"));
  }
  return problems;
}

}  // namespace triga::conformance
