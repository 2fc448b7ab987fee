// Sums in the order of a tree: the same bits however ranks are grouped into partial sums.
#include "comm/reduce.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace triga {
namespace {

using ::testing::ElementsAre;

std::vector<at::Tensor> awkward_tensors(int num_ranks, int64_t numel, at::ScalarType type) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> mantissa(-1, 1), exponent(-6, 6);
  std::vector<at::Tensor> tensors;
  for (int rank = 0; rank < num_ranks; ++rank) {
    std::vector<float> numbers(static_cast<size_t>(numel));
    for (float& number : numbers)
      number = std::ldexp(mantissa(random), static_cast<int>(exponent(random)));
    tensors.push_back(at::tensor(numbers).to(type));
  }
  return tensors;
}

std::byte* data_of(const at::Tensor& tensor) {
  return static_cast<std::byte*>(tensor.data_ptr());
}

/// Of all ranks at once.
at::Tensor whole_sum(const std::vector<at::Tensor>& tensors) {
  std::vector<Summand> summands;
  for (const at::Tensor& tensor : tensors) summands.push_back({data_of(tensor)});
  at::Tensor result = at::empty_like(tensors[0]);
  std::byte* const results[] = {data_of(result)};
  reduce_in_tree_order(summands, results, result.numel(), result.scalar_type(), ReduceOp::kSum);
  return result;
}

/// Of neighbours [cuts[i], cuts[i+1]) first, as hosts would.
at::Tensor sum_of_partial_sums(const std::vector<at::Tensor>& tensors,
                               const std::vector<int>& cuts) {
  const auto type = tensors[0].scalar_type();
  std::vector<at::Tensor> partials;
  std::vector<Summand> summands;
  for (size_t host = 0; host + 1 < cuts.size(); ++host)
    for (const RankRange& subtree :
         subtrees_in({cuts[host], cuts[host + 1]}, static_cast<int>(tensors.size()))) {
      std::vector<Summand> ranks;
      for (int rank = subtree.begin; rank < subtree.end; ++rank)
        ranks.push_back({data_of(tensors[static_cast<size_t>(rank)])});
      partials.push_back(at::empty({tensors[0].numel()}, accumulator_type(type)));
      reduce_partial(ranks, data_of(partials.back()), tensors[0].numel(), type, ReduceOp::kSum);
      summands.push_back({data_of(partials.back()), subtree.width(), /*is_partial=*/true});
    }
  at::Tensor result = at::empty_like(tensors[0]);
  std::byte* const results[] = {data_of(result)};
  reduce_in_tree_order(summands, results, result.numel(), type, ReduceOp::kSum);
  return result;
}

TEST(Subtrees, CoverARangeWithTheLargestNodes) {
  EXPECT_THAT(subtrees_in({0, 4}, 8), ElementsAre(RankRange{0, 4}));
  EXPECT_THAT(subtrees_in({0, 3}, 6), ElementsAre(RankRange{0, 2}, RankRange{2, 3}));
  EXPECT_THAT(subtrees_in({3, 6}, 6), ElementsAre(RankRange{3, 4}, RankRange{4, 6}));
  EXPECT_THAT(subtrees_in({4, 7}, 7), ElementsAre(RankRange{4, 7}));  // the right end of the tree
  EXPECT_THAT(subtrees_in({5, 6}, 7), ElementsAre(RankRange{5, 6}));
  EXPECT_THAT(subtrees_in({0, 7}, 7), ElementsAre(RankRange{0, 7}));
}

TEST(TreeOrder, GivesTheSameBitsForEveryGroupingIntoHosts) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf})
    for (int num_ranks = 2; num_ranks <= 9; ++num_ranks) {
      const auto tensors = awkward_tensors(num_ranks, 2500, type);
      const at::Tensor whole = whole_sum(tensors);
      for (int first = 1; first < num_ranks; ++first) {
        EXPECT_TRUE(at::equal(sum_of_partial_sums(tensors, {0, first, num_ranks}), whole))
            << num_ranks << " ranks, hosts of " << first << " and the others";
        for (int second = first + 1; second < num_ranks; ++second)
          EXPECT_TRUE(at::equal(sum_of_partial_sums(tensors, {0, first, second, num_ranks}), whole))
              << num_ranks << " ranks cut at " << first << " and " << second;
      }
    }
}

TEST(TreeOrder, DiffersFromTheOrderOfRanks) {  // or the tests above would show nothing
  const auto tensors = awkward_tensors(4, 2500, at::kFloat);
  const at::Tensor in_rank_order = tensors[0] + tensors[1] + tensors[2] + tensors[3];
  EXPECT_FALSE(at::equal(whole_sum(tensors), in_rank_order));
  EXPECT_TRUE(at::equal(whole_sum(tensors), (tensors[0] + tensors[1]) + (tensors[2] + tensors[3])));
}

TEST(TreeOrder, WritesTheSameIntoAllResultsAlsoIntoSummands) {
  const auto tensors = awkward_tensors(3, 3000, at::kFloat);
  const at::Tensor expected = whole_sum(tensors);
  std::vector<Summand> summands;
  std::vector<std::byte*> results;
  for (const at::Tensor& tensor : tensors) {
    summands.push_back({data_of(tensor)});
    results.push_back(data_of(tensor));
  }
  reduce_in_tree_order(summands, results, 3000, at::kFloat, ReduceOp::kSum);
  for (const at::Tensor& tensor : tensors) EXPECT_TRUE(at::equal(tensor, expected));
}

}  // namespace
}  // namespace triga
