#include "triga/random.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "tests/support/fixed_context.h"
#include "triga/layer.h"
#include "triga/ops.h"

namespace triga {
namespace {

using testing::FixedContext;

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedVectors) {
  uint32_t words[4];
  philox_block(0, 0, 0, words);
  EXPECT_EQ(words[0], 0x6627e8d5u);
  EXPECT_EQ(words[1], 0xe169c58du);
  EXPECT_EQ(words[2], 0xbc57ac4cu);
  EXPECT_EQ(words[3], 0x9b00dbd8u);
  philox_block(~0ull, ~0ull, ~0ull, words);
  EXPECT_EQ(words[0], 0x408f276du);
  EXPECT_EQ(words[1], 0x41c83b0eu);
  EXPECT_EQ(words[2], 0xa20bc7c6u);
  EXPECT_EQ(words[3], 0x6d5451fdu);
}

TEST(RandomKey, DependsOnEveryPartAndTheirOrder) {
  const RandomKey seed(1);
  EXPECT_EQ(seed.with("a").with(2), RandomKey(1).with("a").with(2));
  EXPECT_NE(seed.with("a").with("b"), seed.with("b").with("a"));
  EXPECT_NE(seed.with("ab").with("c"), seed.with("a").with("bc"));
  EXPECT_NE(seed.with(0), seed);
  EXPECT_NE(seed.with(uint64_t{1}), RandomKey(2).with(uint64_t{1}));
}

TEST(RandomStream, BelowIsUniform) {
  RandomStream stream(RandomKey(7));
  std::vector<int> counts(10);
  const int num_draws = 100000;
  for (int i = 0; i < num_draws; ++i) ++counts[stream.below(10)];
  double chi_squared = 0;
  for (int count : counts)
    chi_squared += std::pow(count - num_draws / 10.0, 2) / (num_draws / 10.0);
  EXPECT_LT(chi_squared, 27.9);  // 99.9 % point of chi squared with 9 degrees of freedom
}

TEST(FillNormal, HasTheMomentsOfANormalDistribution) {
  at::Tensor x = at::empty({200001}, at::kFloat);
  fill_normal(x, RandomKey(3), 1.0, 2.0);
  const at::Tensor z = (x.to(at::kDouble) - 1.0) / 2.0;
  const double n = static_cast<double>(x.numel());
  EXPECT_NEAR(z.mean().item<double>(), 0, 5 / std::sqrt(n));
  EXPECT_NEAR(z.pow(2).mean().item<double>(), 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(z.pow(4).mean().item<double>(), 3, 5 * std::sqrt(96 / n));
}

TEST(Fill, ElementDependsOnItsIndexOnly) {
  at::Tensor longer = at::empty({1000}, at::kFloat), shorter = at::empty({7}, at::kFloat);
  fill_normal(longer, RandomKey(5), 0, 1);
  fill_normal(shorter, RandomKey(5), 0, 1);
  EXPECT_TRUE(longer.slice(0, 0, 7).equal(shorter));
  fill_uniform(longer, RandomKey(5), -1, 1);
  fill_uniform(shorter, RandomKey(5), -1, 1);
  EXPECT_TRUE(longer.slice(0, 0, 7).equal(shorter));
  EXPECT_GE(longer.min().item<float>(), -1);
  EXPECT_LE(longer.max().item<float>(), 1);
}

TEST(Permute, IsAPermutationOfEverySize) {
  for (int64_t size : {1, 2, 3, 4, 5, 15, 16, 17, 255, 256, 257, 1000, 4097}) {
    std::vector<bool> seen(size);
    for (int64_t i = 0; i < size; ++i) {
      const int64_t p = permute(RandomKey(11).with(size), size, i);
      ASSERT_TRUE(0 <= p && p < size && !seen[p]) << "size " << size << " i " << i;
      seen[p] = true;
    }
  }
}

TEST(Permute, PutsEveryElementEverywhere) {  // over keys, element 0 of 8 is uniform
  std::vector<int> counts(8);
  for (uint64_t key = 0; key < 8000; ++key) ++counts[permute(RandomKey(key), 8, 0)];
  double chi_squared = 0;
  for (int count : counts) chi_squared += std::pow(count - 1000.0, 2) / 1000.0;
  EXPECT_LT(chi_squared, 24.3);  // 99.9 % point of chi squared with 7 degrees of freedom
}

TEST(Dropout, KeepsTheRightShareAndScalesIt) {
  const at::Tensor x = at::zeros({1023, 77}) + 1;
  const at::Tensor y = dropout(x, 0.25, FixedContext(Mode::kTrain), "here");
  const double kept = y.ne(0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(kept, 0.75, 5 * std::sqrt(0.25 * 0.75 / x.numel()));
  EXPECT_FLOAT_EQ(y.max().item<float>(), 1 / 0.75f);
}

TEST(Dropout, MaskIsAFunctionOfKeyMicrobatchAndElement) {
  const at::Tensor x = at::zeros({501}) + 1;
  const at::Tensor y = dropout(x, 0.5, FixedContext(Mode::kTrain, 3), "here");
  EXPECT_TRUE(y.equal(dropout(x, 0.5, FixedContext(Mode::kTrain, 3), "here")));
  EXPECT_FALSE(y.equal(dropout(x, 0.5, FixedContext(Mode::kTrain, 4), "here")));
  EXPECT_FALSE(y.equal(dropout(x, 0.5, FixedContext(Mode::kTrain, 3), "there")));
  // Element i has word i of the stream whatever the tensor's size.
  for (int64_t i = 0; i < x.numel(); ++i) {
    const uint32_t word = philox(RandomKey(1).with("here"), 3, i / 4)[i % 4];
    ASSERT_EQ(y[i].item<float>() != 0, word >= 0x80000000u) << i;
  }
}

TEST(Dropout, GradientPassesWhereTheValueStayed) {
  const at::Tensor x = (at::zeros({64, 3}) + 2).requires_grad_();
  const at::Tensor y = dropout(x, 0.3, FixedContext(Mode::kTrain), "here");
  y.sum().backward();
  EXPECT_TRUE(x.grad().equal(y.detach() / 2));
}

TEST(Dropout, IsTheIdentityOutsideTraining) {
  const at::Tensor x = at::zeros({8}) + 1;
  EXPECT_TRUE(dropout(x, 0.5, FixedContext(Mode::kEvaluate), "here").is_same(x));
  EXPECT_TRUE(dropout(x, 0, FixedContext(Mode::kTrain), "here").is_same(x));
}

}  // namespace
}  // namespace triga
