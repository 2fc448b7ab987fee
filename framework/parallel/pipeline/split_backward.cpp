#include "parallel/pipeline/split_backward.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/variable.h>

#include <unordered_map>
#include <unordered_set>

namespace triga {
namespace {

using torch::autograd::Edge;
using torch::autograd::edge_list;
using torch::autograd::Node;
using Tensors = std::vector<at::Tensor>;

/// Keeps what arrives at a node.
class KeepArrived final : public torch::autograd::FunctionPreHook {
 public:
  explicit KeepArrived(std::shared_ptr<Tensors> kept) : kept_(std::move(kept)) {}
  Tensors operator()(const Tensors& gradients) override {
    if (kept_->empty()) *kept_ = gradients;  // the second part comes by here again
    return gradients;
  }

 private:
  const std::shared_ptr<Tensors> kept_;
};

struct Reach {
  bool inputs = false, weights = false;
};

/// What lies behind each node, without recursion: graphs are deep.
class Graph {
 public:
  explicit Graph(const std::unordered_set<Node*>& inputs) : inputs_(inputs) {}

  void visit(Node* root) {
    if (root == nullptr) return;
    std::vector<std::pair<Node*, size_t>> path;
    const auto enter = [&](Node* node) {
      if (!reach_.try_emplace(node).second) return;
      if (dynamic_cast<torch::autograd::AccumulateGrad*>(node) != nullptr)
        (inputs_.contains(node) ? reach_[node].inputs : reach_[node].weights) = true;
      order_.push_back(node);
      path.emplace_back(node, 0);
    };
    enter(root);
    while (!path.empty()) {
      auto& [node, next] = path.back();
      if (next < node->num_outputs()) {
        Node* child = node->next_edge(next++).function.get();
        if (child != nullptr) enter(child);
        continue;
      }
      Reach& own = reach_[node];
      for (const Edge& edge : node->next_edges())
        if (edge.function) {
          const Reach& behind = reach_[edge.function.get()];
          own.inputs |= behind.inputs;
          own.weights |= behind.weights;
        }
      path.pop_back();
    }
  }

  const std::vector<Node*>& nodes() const { return order_; }
  const Reach& reach(Node* node) const { return reach_.at(node); }
  bool is_input(Node* node) const { return inputs_.contains(node); }

 private:
  const std::unordered_set<Node*>& inputs_;
  std::unordered_map<Node*, Reach> reach_;
  std::vector<Node*> order_;
};

}  // namespace

SplitBackward::Tensors SplitBackward::run_inputs(const Tensors& roots, const Tensors& gradients,
                                                 const Tensors& inputs) {
  std::unordered_set<Node*> input_nodes;
  edge_list input_edges, edges;
  for (const at::Tensor& input : inputs) {
    input_edges.push_back(torch::autograd::impl::gradient_edge(input));
    input_nodes.insert(input_edges.back().function.get());
  }
  Graph graph(input_nodes);
  Tensors edge_gradients;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Edge edge = torch::autograd::impl::gradient_edge(roots[i]);
    graph.visit(edge.function.get());
    const bool leads_to_inputs = graph.reach(edge.function.get()).inputs;
    (leads_to_inputs ? edges : roots_).push_back(edge);
    (leads_to_inputs ? edge_gradients : root_gradients_).push_back(gradients[i]);
  }
  std::vector<Edge*> to_cut;
  for (Node* node : graph.nodes()) {
    const Reach& own = graph.reach(node);
    if (own.weights && node->num_outputs() == 0)  // an accumulator of a weight
      weights_.emplace_back(node->getptr(), 0);
    if (!own.inputs) continue;
    bool splits = false;
    for (const Edge& edge : node->next_edges())
      splits |= edge.function && !graph.reach(edge.function.get()).inputs &&
                graph.reach(edge.function.get()).weights;
    if (!splits) continue;
    splits_.push_back({node->getptr(), std::make_shared<Tensors>()});
    node->add_pre_hook(std::make_unique<KeepArrived>(splits_.back().arrived));
    for (Edge& edge : node->next_edges())
      if (edge.function && graph.reach(edge.function.get()).inputs) to_cut.push_back(&edge);
  }
  if (edges.empty()) return Tensors(inputs.size());
  Tensors input_gradients = torch::autograd::Engine::get_default_engine().execute(
      edges, edge_gradients, /*keep_graph=*/true, /*create_graph=*/false, /*accumulate_grad=*/false,
      input_edges);
  // Nothing goes to the inputs any more. What only led there is freed with its activations; and
  // without the cut, what two splits share (a tied weight) would be gone through twice.
  for (Edge* edge : to_cut) *edge = Edge();
  return input_gradients;
}

void SplitBackward::run_weights() {
  edge_list edges = roots_;
  Tensors gradients = root_gradients_;
  for (const Split& split : splits_)
    for (size_t i = 0; i < split.arrived->size(); ++i) {
      if (!(*split.arrived)[i].defined()) continue;
      edges.emplace_back(split.node, static_cast<uint32_t>(i));
      gradients.push_back((*split.arrived)[i]);
    }
  if (!edges.empty() && !weights_.empty())
    torch::autograd::Engine::get_default_engine().execute(edges, gradients, /*keep_graph=*/false,
                                                          /*create_graph=*/false,
                                                          /*accumulate_grad=*/true, weights_);
  splits_.clear();
}

}  // namespace triga
