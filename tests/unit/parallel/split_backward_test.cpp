// Backward in two parts against backward in one, to the bit, for graphs with all that is awkward:
// residual paths, weights used twice, weights that go through operations of their own, several
// roots.
#include "parallel/pipeline/split_backward.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "triga/ops.h"
#include "triga/random.h"

namespace triga {
namespace {

using Tensors = std::vector<at::Tensor>;

at::Tensor random_tensor(std::vector<int64_t> sizes, uint64_t seed) {
  at::Tensor tensor = at::empty(sizes, at::kFloat);
  fill_normal(tensor, RandomKey(seed), 0, 0.5);
  return tensor;
}

/// Inputs first, then weights.
struct Model {
  int num_inputs;
  Tensors leaves;
  std::function<Tensors(const Tensors& inputs, const Tensors& weights)> function;
};

Tensors fresh(const Model& model) {
  Tensors leaves;
  for (const at::Tensor& leaf : model.leaves)
    leaves.push_back(leaf.clone().set_requires_grad(leaf.requires_grad()));
  return leaves;
}

void expect_same_bits(const Model& model) {
  const auto run = [&](Tensors& leaves) {
    return model.function({leaves.begin(), leaves.begin() + model.num_inputs},
                          {leaves.begin() + model.num_inputs, leaves.end()});
  };
  Tensors whole = fresh(model), split = fresh(model), gradients;
  const Tensors outputs = run(whole);
  for (size_t i = 0; i < outputs.size(); ++i)
    gradients.push_back(random_tensor(outputs[i].sizes().vec(), 77 + i));
  torch::autograd::backward(outputs, gradients);

  const Tensors roots = run(split);
  const Tensors inputs(split.begin(), split.begin() + model.num_inputs);
  SplitBackward parts;
  const Tensors of_inputs = parts.run_inputs(roots, gradients, inputs);
  for (size_t i = 0; i < split.size(); ++i)
    EXPECT_FALSE(split[i].grad().defined()) << "leaf " << i << " has a gradient already";
  parts.run_weights();
  for (size_t i = 0; i < whole.size(); ++i) {
    const bool is_input = static_cast<int>(i) < model.num_inputs;
    const at::Tensor got = is_input ? of_inputs[i] : split[i].grad();
    ASSERT_EQ(got.defined(), whole[i].grad().defined()) << "leaf " << i;
    if (got.defined()) EXPECT_TRUE(got.equal(whole[i].grad())) << "leaf " << i;
  }
}

at::Tensor leaf(std::vector<int64_t> sizes, uint64_t seed) {
  return random_tensor(std::move(sizes), seed).set_requires_grad(true);
}

TEST(SplitBackward, OfABlockWithResidualAndNorm) {
  expect_same_bits({1,
                    {leaf({6, 8}, 1), leaf({8, 8}, 2), leaf({8}, 3), leaf({8}, 4), leaf({8}, 5)},
                    [](const Tensors& in, const Tensors& w) -> Tensors {
                      const at::Tensor normed = at::layer_norm(in[0], {8}, w[2], w[3]);
                      return {in[0] + gelu_tanh(at::linear(normed, w[0], w[1]))};
                    }});
}

TEST(SplitBackward, OfOurOwnLinear) {
  expect_same_bits(
      {1,
       {leaf({6, 8}, 1), leaf({8, 5}, 2), leaf({5}, 3)},
       [](const Tensors& in, const Tensors& w) -> Tensors {
         Parameter weight({"w", {8, 5}, Init::zeros()}), bias({"b", {5}, Init::zeros()});
         weight.bind(w[0]);
         bias.bind(w[1]);
         return {linear(in[0], weight, &bias, WeightLayout::kInOut)};
       }});
}

TEST(SplitBackward, OfAWeightUsedTwice) {
  expect_same_bits(
      {1, {leaf({6, 8}, 1), leaf({8, 8}, 2)}, [](const Tensors& in, const Tensors& w) -> Tensors {
         return {at::linear(at::linear(in[0], w[0]).tanh(), w[0])};
       }});
}

TEST(SplitBackward, OfAWeightThatIsComputed) {
  expect_same_bits({1,
                    {leaf({6, 8}, 1), leaf({8, 8}, 2), leaf({8}, 3)},
                    [](const Tensors& in, const Tensors& w) -> Tensors {
                      const at::Tensor scaled = w[0] * w[1];  // used in two places
                      return {at::linear(at::linear(in[0], scaled).tanh(), scaled)};
                    }});
}

TEST(SplitBackward, OfSeveralInputsAndRoots) {
  expect_same_bits(
      {3,
       {leaf({6, 8}, 1), leaf({6, 8}, 2), random_tensor({6, 8}, 9).set_requires_grad(true),
        leaf({8, 8}, 3), leaf({8, 8}, 4)},
       [](const Tensors& in, const Tensors& w) -> Tensors {
         const at::Tensor a = at::linear(in[0], w[0]), b = at::linear(in[1], w[1]);
         return {(a * b).tanh(), a + in[1], w[0].pow(2).sum()};  // the last: no input
       }});
}

TEST(SplitBackward, WithoutInputsIsAllInTheSecondPart) {
  expect_same_bits({0, {leaf({8, 8}, 3)}, [](const Tensors&, const Tensors& w) -> Tensors {
                      return {at::linear(w[0], w[0]).tanh()};
                    }});
}

TEST(SplitBackward, WithoutWeightsIsAllInTheFirst) {
  expect_same_bits({1, {leaf({4, 4}, 3)}, [](const Tensors& in, const Tensors&) -> Tensors {
                      return {in[0].tanh() * in[0]};
                    }});
}

}  // namespace
}  // namespace triga
