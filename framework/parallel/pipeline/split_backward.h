// SplitBackward: the backward pass of a graph in two parts, first the gradients of its inputs, then,
// any time later, those of its weights (zero bubble; Qi et al. 2024). To the bit what one pass gives.
//
// The first part runs autograd's engine for the inputs only, so an operation does not compute the
// gradients of its weights; where a path to weights leaves the path to the inputs, the gradient
// that arrives there is kept. The second part starts from what was kept, with the paths to the
// inputs cut off, so that nothing is computed twice.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>

#include <memory>
#include <vector>

namespace triga {

class SplitBackward {
 public:
  using Tensors = std::vector<at::Tensor>;

  /// Gradients of `inputs`, which are leaves, from those of `roots`; undefined where there is none.
  /// Called once.
  Tensors run_inputs(const Tensors& roots, const Tensors& gradients, const Tensors& inputs);
  /// Adds to the gradients of all other leaves. Called once, after run_inputs(); frees the graph.
  void run_weights();

 private:
  using Node = torch::autograd::Node;

  /// A node from which one way leads to an input and another to a weight.
  struct Split {
    std::shared_ptr<Node> node;
    std::shared_ptr<Tensors> arrived;  // gradients of the node's outputs
  };

  torch::autograd::edge_list roots_;  // that lead to no input: all of their work is the second part
  Tensors root_gradients_;
  std::vector<Split> splits_;
  torch::autograd::edge_list weights_;  // edges to the leaves that are no inputs
};

}  // namespace triga
