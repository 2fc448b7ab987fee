// Operations on a GPU against the same on the CPU: masks to the bit, values and gradients up to
// rounding.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>

#include "comm/cuda_backend.h"
#include "optim/gradient_norm.h"
#include "tests/support/fixed_context.h"
#include "triga/ops.h"

namespace triga {
namespace {

at::Tensor random_tensor(std::vector<int64_t> sizes, uint64_t seed) {
  at::Tensor tensor = at::empty(sizes, at::kFloat);
  fill_normal(tensor, RandomKey(seed), 0, 1);
  return tensor;
}

/// fp32 in other orders, and exponentials of another library.
void expect_close(const at::Tensor& on_gpu, const at::Tensor& on_cpu, double tolerance = 1e-5) {
  ASSERT_TRUE(on_gpu.is_cuda());
  ASSERT_EQ(on_gpu.sizes(), on_cpu.sizes());
  const double scale = std::max(1e-30, on_cpu.abs().max().item<double>());
  EXPECT_LT((on_gpu.cpu() - on_cpu).abs().max().item<double>(), tolerance * scale);
}

/// `function` of `inputs` on both, and the gradients of its inputs for the same gradient of its
/// result.
template <class Function>
void expect_same_on_both(const std::vector<at::Tensor>& inputs, const Function& function) {
  std::vector<at::Tensor> here, there;
  for (const at::Tensor& input : inputs) {
    here.push_back(input.clone().set_requires_grad(true));
    there.push_back(input.to(at::kCUDA).set_requires_grad(true));
  }
  const at::Tensor y = function(here), z = function(there);
  expect_close(z.detach(), y.detach());
  const at::Tensor grad = random_tensor(y.sizes().vec(), 99);
  y.backward(grad);
  z.backward(grad.to(at::kCUDA));
  for (size_t i = 0; i < here.size(); ++i) expect_close(there[i].grad(), here[i].grad());
}

const testing::FixedContext context(Mode::kTrain);

TEST(Dropout, DrawsTheBitsOfTheCpu) {
  for (const int64_t numel : {1, 3, 4, 1021, 1'000'003})
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = random_tensor({numel}, 1).to(type);
      const at::Tensor here = dropout(x, 0.3, context, "here");
      EXPECT_TRUE(dropout(x.to(at::kCUDA), 0.3, context, "here").cpu().equal(here)) << numel;
    }
}

TEST(Dropout, HasItsGradient) {
  expect_same_on_both({random_tensor({33, 70}, 1)},
                      [](const auto& inputs) { return dropout(inputs[0], 0.3, context, "here"); });
}

TEST(DropoutAdd, IsThatOfTheCpu) {
  expect_same_on_both(
      {random_tensor({33, 70}, 1), random_tensor({33, 70}, 2)},
      [](const auto& inputs) { return dropout_add(inputs[0], inputs[1], 0.3, context, "here"); });
}

TEST(CausalAttention, IsThatOfTheCpu) {
  expect_same_on_both(
      {random_tensor({6, 33, 8}, 1), random_tensor({6, 33, 8}, 2), random_tensor({6, 33, 8}, 3)},
      [](const auto& inputs) {
        return causal_attention_with_dropout(inputs[0], inputs[1], inputs[2], 0.2, context, "here");
      });
}

TEST(GeluTanh, IsThatOfTheCpu) {
  expect_same_on_both({random_tensor({333, 7}, 1)},
                      [](const auto& inputs) { return gelu_tanh(inputs[0]); });
}

TEST(CrossEntropy, IsThatOfTheCpu) {
  expect_same_on_both({random_tensor({37, 257}, 1)}, [](const auto& inputs) {
    at::Tensor labels = at::arange(37, at::kLong);
    labels[5] = -100;
    return cross_entropy_sum(inputs[0], labels.to(inputs[0].device()));
  });
}

TEST(SumOfSquares, IsThatOfTheCpu) {
  const at::Tensor x = random_tensor({1'000'003}, 1);
  const std::vector<at::Tensor> here = {x, x.mul(2)};
  const std::vector<at::Tensor> there = {here[0].to(at::kCUDA), here[1].to(at::kCUDA)};
  EXPECT_NEAR(sum_of_squares(there) / sum_of_squares(here), 1, 1e-12);
}

}  // namespace
}  // namespace triga

int main(int argc, char** argv) {
  try {
    triga::CudaBackend& backend = triga::open_cuda({});
    ::testing::InitGoogleTest(&argc, argv);
    if (backend.num_devices() == 0) throw triga::Error("these tests need a GPU");
    return RUN_ALL_TESTS();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
