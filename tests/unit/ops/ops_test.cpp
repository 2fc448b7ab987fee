// Each operation against LibTorch's: values and gradients.
#include "triga/ops.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <ATen/Parallel.h>

#include "ops/vector_math.h"
#include "optim/gradient_norm.h"
#include "tests/support/fixed_context.h"

namespace triga {
namespace {

using testing::FixedContext;

at::Tensor random_tensor(std::vector<int64_t> sizes, uint64_t seed, double scale = 1) {
  at::Tensor tensor = at::empty(sizes, at::kFloat);
  fill_normal(tensor, RandomKey(seed), 0, scale);
  return tensor;
}

at::Tensor floats(const std::vector<double>& values, int64_t rows) {
  return at::tensor(values).to(at::kFloat).view({rows, -1});
}

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.clone().set_requires_grad(true);
}

/// Equal up to a few roundings of fp32, relative to the largest value.
void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance = 2e-6) {
  ASSERT_EQ(a.sizes(), b.sizes());
  const double scale = std::max(1e-30, b.abs().max().item<double>());
  EXPECT_LT((a - b).abs().max().item<double>(), tolerance * scale);
}

Parameter bound(const at::Tensor& value) {
  Parameter parameter({"w", value.sizes().vec(), Init::zeros()});
  parameter.bind(value);
  return parameter;
}

TEST(FastExp, IsWithinTwoUnitsInTheLastPlace) {
  double worst = 0;
  for (double x = -86.5; x < 87.5; x += 0.00071) {
    const double exact = std::exp(static_cast<double>(static_cast<float>(x)));
    worst = std::max(worst, std::abs(fast_exp(static_cast<float>(x)) - exact) / exact);
  }
  EXPECT_LT(worst, 2.4e-7);
  EXPECT_LT(fast_exp(-1e30f), 1e-37f);
  EXPECT_TRUE(std::isfinite(fast_exp(1e30f)));
}

TEST(GeluTanh, IsLibTorchs) {
  const at::Tensor x =
      at::cat({random_tensor({333, 7}, 1, 3), floats({0, 1e-8, -1e-8, 40, -40, 9, -9}, 1)});
  const at::Tensor ours = leaf(x), theirs = leaf(x), grad = random_tensor({334, 7}, 2);
  const at::Tensor y = gelu_tanh(ours), z = at::gelu(theirs, "tanh");
  expect_close(y, z);
  y.backward(grad);
  z.backward(grad);
  expect_close(ours.grad(), theirs.grad());
  EXPECT_TRUE(gelu_tanh(floats({NAN}, 1)).isnan().all().item<bool>());
  EXPECT_EQ(gelu_tanh(x.to(at::kBFloat16)).scalar_type(), at::kBFloat16);
}

TEST(Linear, IsLibTorchsInBothLayouts) {
  for (const bool in_out : {false, true}) {
    const at::Tensor x = random_tensor({4, 5, 12}, 1), w = random_tensor({8, 12}, 2),
                     b = random_tensor({8}, 3), grad = random_tensor({4, 5, 8}, 4);
    const at::Tensor ours[] = {leaf(x), leaf(in_out ? w.t().contiguous() : w), leaf(b)};
    const at::Tensor theirs[] = {leaf(x), leaf(w), leaf(b)};
    const Parameter bias = bound(ours[2]);
    const at::Tensor y = linear(ours[0], bound(ours[1]), &bias,
                                in_out ? WeightLayout::kInOut : WeightLayout::kOutIn);
    const at::Tensor z = at::linear(theirs[0], theirs[1], theirs[2]);
    expect_close(y, z);
    y.backward(grad);
    z.backward(grad);
    expect_close(ours[0].grad(), theirs[0].grad());
    expect_close(in_out ? ours[1].grad().t() : ours[1].grad(), theirs[1].grad());
    expect_close(ours[2].grad(), theirs[2].grad());
    expect_close(linear(x, bound(w), nullptr), at::linear(x, w));
  }
}

/// Gives the memory of one parameter, as the reducer does.
class OneSink final : public GradientSink {
 public:
  OneSink(at::Tensor memory, bool accumulate)
      : memory_(std::move(memory)), accumulate_(accumulate) {}
  at::Tensor destination(size_t, bool& accumulate) override {
    if (is_begun) return {};
    is_begun = true;
    accumulate = accumulate_;
    return memory_;
  }
  at::Tensor begun(size_t) override { return is_begun ? memory_ : at::Tensor(); }
  bool is_begun = false;

 private:
  at::Tensor memory_;
  bool accumulate_;
};

TEST(Linear, WritesOrAddsItsWeightsGradientWhereItBelongs) {
  const at::Tensor x = random_tensor({20, 12}, 1), w = random_tensor({8, 12}, 2),
                   grad = random_tensor({20, 8}, 3);
  const at::Tensor expected = grad.t().mm(x);
  for (const bool accumulate : {false, true}) {
    at::Tensor memory = at::full({8, 12}, accumulate ? 1.0 : NAN, at::kFloat);
    OneSink sink(memory, accumulate);
    const at::Tensor weight = leaf(w);
    const Parameter parameter = bound(weight);
    parameter.set_sink(&sink, 0);
    const void* given = nullptr;
    weight.register_hook([&](const at::Tensor& gradient) { given = gradient.data_ptr(); });
    linear(x, parameter, nullptr).backward(grad);
    expect_close(memory, accumulate ? expected + 1 : expected);
    EXPECT_EQ(given, memory.data_ptr()) << "not copied";
  }
}

TEST(Linear, UsedTwiceGivesTheSum) {
  const at::Tensor x = random_tensor({20, 8}, 1), w = random_tensor({8, 8}, 2, 0.3),
                   grad = random_tensor({20, 8}, 3);
  at::Tensor memory = at::full({8, 8}, NAN, at::kFloat);
  OneSink sink(memory, false);
  const at::Tensor ours = leaf(w), theirs = leaf(w);
  const Parameter parameter = bound(ours);
  parameter.set_sink(&sink, 0);
  linear(linear(x, parameter, nullptr), parameter, nullptr).backward(grad);
  at::linear(at::linear(x, theirs), theirs).backward(grad);
  expect_close(ours.grad(), theirs.grad());
}

TEST(Embedding, IsLibTorchsAloneAndTiedToALinear) {
  const at::Tensor index = at::tensor(std::vector<int64_t>{3, 1, 3, 0, 3, 4}).view({2, 3});
  for (const bool has_sink : {false, true}) {
    const at::Tensor w = random_tensor({6, 5}, 1), grad = random_tensor({2, 3, 6}, 2);
    at::Tensor memory = at::full({6, 5}, NAN, at::kFloat);
    OneSink sink(memory, false);
    const at::Tensor ours = leaf(w), theirs = leaf(w);
    const Parameter parameter = bound(ours);
    if (has_sink) parameter.set_sink(&sink, 0);
    const at::Tensor y = linear(embedding(index, parameter).tanh(), parameter, nullptr);
    const at::Tensor z = at::linear(at::embedding(theirs, index).tanh(), theirs);
    expect_close(y, z);
    const void* given = nullptr;
    ours.register_hook([&](const at::Tensor& gradient) { given = gradient.data_ptr(); });
    y.backward(grad);
    z.backward(grad);
    expect_close(ours.grad(), theirs.grad());
    EXPECT_EQ(given == memory.data_ptr(), has_sink);
  }
  const at::Tensor alone = leaf(random_tensor({6, 5}, 1)), other = leaf(alone.detach());
  embedding(index, bound(alone)).pow(2).sum().backward();
  at::embedding(other, index).pow(2).sum().backward();
  expect_close(alone.grad(), other.grad());
}

TEST(CausalAttention, IsThatOfTheOperationsWrittenOut) {
  for (const double p : {0.0, 0.3})
    for (const int64_t time : {1, 5, 33, 70}) {
      const FixedContext context(Mode::kTrain);
      at::Tensor ours[3], theirs[3];
      for (int i = 0; i < 3; ++i) {
        ours[i] = leaf(random_tensor({6, time, 8}, static_cast<uint64_t>(i) + 1, 2));
        theirs[i] = leaf(ours[i].detach());
      }
      const at::Tensor y =
          causal_attention_with_dropout(ours[0], ours[1], ours[2], p, context, "here");
      const at::Tensor future = at::full({time, time}, -INFINITY, at::kFloat).triu(1);
      const at::Tensor scores = theirs[0].bmm(theirs[1].transpose(1, 2)) / std::sqrt(8.0) + future;
      const at::Tensor z = dropout(scores.softmax(-1), p, context, "here").bmm(theirs[2]);
      expect_close(y, z);
      const at::Tensor grad = random_tensor({6, time, 8}, 9);
      y.backward(grad);
      z.backward(grad);
      for (int i = 0; i < 3; ++i) expect_close(ours[i].grad(), theirs[i].grad(), 5e-6);
    }
}

TEST(CausalAttention, DropsNothingUnlessTraining) {
  const at::Tensor q = random_tensor({2, 9, 4}, 1), k = random_tensor({2, 9, 4}, 2),
                   v = random_tensor({2, 9, 4}, 3);
  const FixedContext context(Mode::kEvaluate);
  expect_close(causal_attention_with_dropout(q, k, v, 0.5, context, "here"),
               at::scaled_dot_product_attention(q, k, v, {}, 0.0, true));
}

TEST(DropoutAdd, IsTheSumOfDropoutAndResidual) {
  const FixedContext context(Mode::kTrain);
  const at::Tensor r = leaf(random_tensor({13, 7}, 1)), x = leaf(random_tensor({13, 7}, 2));
  const at::Tensor y = dropout_add(r, x, 0.4, context, "here");
  EXPECT_TRUE(y.equal(r + dropout(x, 0.4, context, "here")));
  y.backward(at::ones({13, 7}));
  EXPECT_TRUE(r.grad().eq(1).all().item<bool>());
  EXPECT_TRUE(x.grad().equal(dropout(at::ones({13, 7}), 0.4, context, "here")));
  const at::Tensor b = dropout(x.detach().to(at::kBFloat16), 0.4, context, "here");
  EXPECT_TRUE(b.eq(0).equal(dropout(x.detach(), 0.4, context, "here").eq(0))) << "another mask";
}

TEST(Operations, GiveTheSameBitsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const FixedContext context(Mode::kTrain);
  std::vector<std::vector<at::Tensor>> results;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const at::Tensor x = leaf(random_tensor({700, 301}, 1)),
                     q = leaf(random_tensor({8, 150, 16}, 2));
    const at::Tensor labels = at::arange(700, at::kLong).remainder(301);
    cross_entropy_sum(gelu_tanh(dropout(x, 0.3, context, "here")), labels).backward();
    const at::Tensor y = causal_attention_with_dropout(q, q, q, 0.2, context, "here");
    y.sum().backward();
    results.push_back({x.grad(), y.detach(), q.grad(),
                       dropout_add(x.detach(), x.detach(), 0.3, context, "there"),
                       at::scalar_tensor(sum_of_squares(x.detach()), at::kDouble)});
  }
  at::set_num_threads(before);
  for (const auto& other : results)
    for (size_t i = 0; i < other.size(); ++i) EXPECT_TRUE(other[i].equal(results[0][i])) << i;
}

TEST(CrossEntropy, IsLibTorchsSum) {
  for (const int64_t classes : {2, 17, 257, 5000}) {
    const at::Tensor x = random_tensor({37, classes}, 1, 4);
    at::Tensor labels = at::arange(37, at::kLong).remainder(classes);
    labels[5] = labels[36] = -100;
    const at::Tensor ours = leaf(x), theirs = leaf(x);
    const at::Tensor y = cross_entropy_sum(ours, labels) * 0.37;
    const at::Tensor z = at::cross_entropy_loss(theirs, labels, {}, at::Reduction::Sum) * 0.37;
    expect_close(y, z);
    y.backward();
    z.backward();
    expect_close(ours.grad(), theirs.grad());
  }
}

TEST(CrossEntropy, OfExtremeLogits) {
  const at::Tensor labels = at::tensor(std::vector<int64_t>{0, 1});
  const at::Tensor masked = floats({0, -INFINITY, -INFINITY, -INFINITY, 3, 3}, 2);
  EXPECT_NEAR(cross_entropy_sum(masked, labels).item<float>(), std::log(2.0f), 1e-6);
  const at::Tensor large = floats({1e30, 0, 0, 1e30}, 2);
  EXPECT_EQ(cross_entropy_sum(large, labels).item<float>(), 0);
  EXPECT_TRUE(std::isnan(cross_entropy_sum(floats({NAN, 0, 0, 1}, 2), labels).item<float>()));
  EXPECT_EQ(cross_entropy_sum(large, at::full({2}, -100, at::kLong)).item<float>(), 0);
  EXPECT_THROW(cross_entropy_sum(large, at::tensor(std::vector<int64_t>{0, 2})), Error);
}

}  // namespace
}  // namespace triga
