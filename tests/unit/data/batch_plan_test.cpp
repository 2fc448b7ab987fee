#include "data/batch_plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/data/fakes.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::triga::test::NumberDataset;

std::vector<int64_t> samples_of(const StepPlan& plan) {
  std::vector<int64_t> samples;
  for (const auto& microbatch : plan.microbatches)
    samples.insert(samples.end(), microbatch.samples.begin(), microbatch.samples.end());
  return samples;
}

std::vector<int64_t> range(int64_t size) {
  std::vector<int64_t> numbers(static_cast<size_t>(size));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// All samples of an epoch, by asking for its steps.
std::vector<int64_t> samples_of_epoch(const BatchPlan& plan, int64_t epoch) {
  std::vector<int64_t> samples;
  for (int64_t step = plan.steps_in_epochs(epoch); step < plan.steps_in_epochs(epoch + 1); ++step) {
    const auto part = samples_of(plan.step(step));
    samples.insert(samples.end(), part.begin(), part.end());
  }
  return samples;
}

TEST(ShareOfRank, IsContiguousAndAsEvenAsPossible) {
  const auto sizes = [](int64_t count, int64_t num_ranks) {
    std::vector<int64_t> result;
    int64_t end = 0;
    for (int64_t rank = 0; rank < num_ranks; ++rank) {
      const Share share = share_of_rank(count, rank, num_ranks);
      EXPECT_EQ(share.begin, end);
      end = share.end;
      result.push_back(share.size());
    }
    EXPECT_EQ(end, count);
    return result;
  };
  EXPECT_THAT(sizes(8, 3), ElementsAre(3, 3, 2));
  EXPECT_THAT(sizes(7, 2), ElementsAre(4, 3));
  EXPECT_THAT(sizes(1, 3), ElementsAre(1, 0, 0));
  EXPECT_THAT(sizes(0, 2), ElementsAre(0, 0));
  EXPECT_THAT(sizes(6, 6), ElementsAre(1, 1, 1, 1, 1, 1));
}

TEST(BatchPlan, UsesEverySampleOnceAnEpoch) {
  for (int64_t size : {1, 2, 7, 64, 103}) {
    const NumberDataset dataset(size);
    for (int64_t samples : {1, 5, 200}) {
      const BatchPlan plan(dataset, {.seed = 3, .samples_per_step = samples, .microbatch_size = 2});
      for (int64_t epoch : {0, 1, 5}) {
        auto used = samples_of_epoch(plan, epoch);
        std::sort(used.begin(), used.end());
        EXPECT_EQ(used, range(size)) << size << " samples, " << samples << " a step";
      }
    }
  }
}

TEST(BatchPlan, CutsStepsIntoMicrobatchesAndCountsPositions) {
  const NumberDataset dataset(10);
  const BatchPlan plan(dataset, {.shuffle = false, .samples_per_step = 7, .microbatch_size = 3});
  EXPECT_EQ(plan.steps_in_epochs(1), 2);
  EXPECT_EQ(plan.steps_in_epochs(3), 6);

  const StepPlan first = plan.step(2);  // of the second epoch
  EXPECT_EQ(first.epoch, 1);
  EXPECT_EQ(first.first_position, 10);
  EXPECT_EQ(first.num_samples, 7);
  EXPECT_EQ(first.num_tokens, 7);  // each of length 1
  ASSERT_EQ(first.microbatches.size(), 3u);
  EXPECT_THAT(first.microbatches[0].samples, ElementsAre(0, 1, 2));
  EXPECT_THAT(first.microbatches[2].samples, ElementsAre(6));
  EXPECT_EQ(first.microbatches[2].microbatch, 2);
  EXPECT_EQ(first.microbatches[2].first_position, 16);

  const StepPlan last = plan.step(3);  // what the epoch has left
  EXPECT_EQ(last.num_samples, 3);
  EXPECT_EQ(last.first_position, 17);
  EXPECT_THAT(samples_of(last), ElementsAre(7, 8, 9));
}

TEST(BatchPlan, ShufflesDifferentlyByEpochAndSeed) {
  const NumberDataset dataset(50);
  const BatchPlan plan(dataset, {.seed = 1, .samples_per_step = 10});
  const BatchPlan same(dataset, {.seed = 1, .samples_per_step = 25, .microbatch_size = 5});
  const BatchPlan other(dataset, {.seed = 2, .samples_per_step = 10});
  const auto order = samples_of_epoch(plan, 0);
  EXPECT_NE(order, range(50));
  EXPECT_NE(order, samples_of_epoch(plan, 1));
  EXPECT_NE(order, samples_of_epoch(other, 0));
  EXPECT_EQ(order, samples_of_epoch(same, 0))
      << "the order of samples does not depend on how they are cut";
  for (int64_t i = 0; i < 50; ++i)
    EXPECT_EQ(order[static_cast<size_t>(i)],
              permute(RandomKey(1).with("sample order").with(uint64_t{0}), 50, i));
}

TEST(BatchPlan, OrderIsPinned) {  // another order would make every resume wrong without a word
  const NumberDataset dataset(8);
  const BatchPlan plan(dataset, {.seed = 1, .samples_per_step = 8, .microbatch_size = 8});
  EXPECT_THAT(samples_of(plan.step(0)), ElementsAre(4, 2, 5, 7, 1, 0, 3, 6));
}

TEST(BatchPlanByTokens, FillsAStepGreedilyAndKeepsLongSamples) {
  const NumberDataset dataset({4, 4, 2, 20, 1, 9, 1});
  const BatchPlan plan(dataset, {.shuffle = false, .tokens_per_step = 10, .microbatch_size = 2});
  EXPECT_EQ(plan.steps_in_epochs(1), 4);
  EXPECT_THAT(samples_of(plan.step(0)), ElementsAre(0, 1, 2));  // 10
  EXPECT_THAT(samples_of(plan.step(1)), ElementsAre(3));        // 20: more than fits, alone
  EXPECT_THAT(samples_of(plan.step(2)), ElementsAre(4, 5));     // 10
  EXPECT_THAT(samples_of(plan.step(3)), ElementsAre(6));        // 1
  EXPECT_THAT(samples_of(plan.step(4)), ElementsAre(0, 1, 2));
  EXPECT_EQ(plan.step(0).num_tokens, 10);
  EXPECT_EQ(plan.step(1).num_tokens, 20);
  EXPECT_EQ(plan.step(4).epoch, 1);
  EXPECT_EQ(plan.step(4).first_position, 7);
}

TEST(BatchPlanByTokens, GivesTheSameStepsInAnyOrderOfAsking) {
  std::vector<int64_t> lengths;
  RandomStream random(RandomKey(5));
  for (int i = 0; i < 200; ++i) lengths.push_back(1 + random.below(30));
  const NumberDataset dataset(lengths);
  const BatchPlanOptions options{.seed = 9, .tokens_per_step = 100, .microbatch_size = 3};

  // Straight through the order of each epoch, as the definition says it.
  std::vector<std::vector<int64_t>> expected;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    int64_t tokens = 101;
    for (int64_t i = 0; i < 200; ++i) {
      const int64_t sample =
          permute(RandomKey(9).with("sample order").with(static_cast<uint64_t>(epoch)), 200, i);
      const int64_t length = lengths[static_cast<size_t>(sample)];
      if (i == 0 || tokens + length > 100) {
        expected.emplace_back();
        tokens = 0;
      }
      expected.back().push_back(sample);
      tokens += length;
    }
  }
  const BatchPlan plan(dataset, options);
  const auto num_steps = static_cast<int64_t>(expected.size());
  EXPECT_EQ(plan.steps_in_epochs(4), num_steps);
  for (int64_t i = 0; i < num_steps; ++i) {
    const int64_t step = i * 7 % num_steps;  // jumps between epochs
    EXPECT_EQ(samples_of(plan.step(step)), expected[static_cast<size_t>(step)]) << step;
  }
  const BatchPlan fresh(dataset, options);
  EXPECT_EQ(samples_of(fresh.step(num_steps - 1)), expected.back());
}

TEST(BatchPlan, InStreamsEachRowOfAStepGoesOnWhereItWas) {
  const NumberDataset dataset(11);  // streams of 3, 3, 3 and 2 samples
  const BatchPlan plan(
      dataset, {.shuffle = false, .in_streams = true, .samples_per_step = 4, .microbatch_size = 3});
  EXPECT_EQ(plan.steps_in_epochs(2), 6);
  for (const int64_t epoch : {0, 1}) {
    EXPECT_THAT(samples_of(plan.step(3 * epoch)), ElementsAre(0, 3, 6, 9));
    EXPECT_THAT(samples_of(plan.step(3 * epoch + 1)), ElementsAre(1, 4, 7, 10));
    EXPECT_THAT(samples_of(plan.step(3 * epoch + 2)), ElementsAre(2, 5, 8));
    EXPECT_EQ(plan.step(3 * epoch + 2).first_position, 11 * epoch + 8);
  }
}

TEST(BatchPlan, InStreamsEverySampleIsUsedOnceAnEpoch) {
  for (int64_t size : {1, 3, 4, 29, 64})
    for (int64_t streams : {1, 4, 7, 100}) {
      const NumberDataset dataset(size);
      const BatchPlan plan(dataset, {.shuffle = false,
                                     .in_streams = true,
                                     .samples_per_step = streams,
                                     .microbatch_size = 2});
      auto samples = samples_of_epoch(plan, 1);
      std::sort(samples.begin(), samples.end());
      EXPECT_EQ(samples, range(size)) << streams << " streams";
    }
}

}  // namespace
}  // namespace triga
