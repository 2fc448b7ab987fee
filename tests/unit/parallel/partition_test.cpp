// Cuts against all that there are.
#include "parallel/planning/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace triga {
namespace {

using testing::ElementsAre;

/// Calls visit(bounds) for every way to cut.
void for_each_cut(size_t num_layers, size_t num_stages,
                  const std::function<void(const std::vector<size_t>&)>& visit) {
  std::vector<size_t> bounds = {0};
  const std::function<void()> extend = [&] {
    if (bounds.size() == num_stages) {
      bounds.push_back(num_layers);
      visit(bounds);
      bounds.pop_back();
      return;
    }
    const size_t left = num_stages - bounds.size();
    for (size_t next = bounds.back() + 1; next + left <= num_layers; ++next) {
      bounds.push_back(next);
      extend();
      bounds.pop_back();
    }
  };
  extend();
}

double slowest(const std::vector<double>& seconds, const std::vector<size_t>& bounds) {
  double most = 0;
  for (size_t i = 0; i + 1 < bounds.size(); ++i)
    most = std::max(most, std::accumulate(seconds.begin() + static_cast<long>(bounds[i]),
                                          seconds.begin() + static_cast<long>(bounds[i + 1]), 0.0));
  return most;
}

int64_t fullest(const PartitionQuestion& question, const std::vector<size_t>& bounds) {
  int64_t most = 0;
  for (size_t i = 0; i + 1 < bounds.size(); ++i)
    most = std::max(most, question.bytes(i, bounds[i], bounds[i + 1]));
  return most;
}

TEST(BalancedBounds, AreTheBestOfAllCuts) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> seconds(0.1, 3);
  std::uniform_int_distribution<int64_t> bytes(1, 100);
  for (int trial = 0; trial < 200; ++trial) {
    const size_t num_layers = 1 + random() % 9;
    PartitionQuestion question;
    question.num_stages = 1 + random() % num_layers;
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < num_layers; ++i) {
      question.seconds.push_back(seconds(random));
      sizes.push_back(bytes(random));
    }
    double least = std::numeric_limits<double>::infinity();
    for_each_cut(num_layers, question.num_stages, [&](const std::vector<size_t>& bounds) {
      least = std::min(least, slowest(question.seconds, bounds));
    });
    EXPECT_NEAR(slowest(question.seconds, balanced_bounds(question)), least, 1e-12);

    // With memory: near the best time, the least memory.
    question.slack = trial % 2 == 0 ? 0.02 : 0.5;
    question.bytes = [&](size_t stage, size_t begin, size_t end) {
      return static_cast<int64_t>(question.num_stages - stage) *
             std::accumulate(sizes.begin() + static_cast<long>(begin),
                             sizes.begin() + static_cast<long>(end), int64_t{0});
    };
    int64_t least_bytes = std::numeric_limits<int64_t>::max();
    for_each_cut(num_layers, question.num_stages, [&](const std::vector<size_t>& bounds) {
      if (slowest(question.seconds, bounds) <= least * (1 + question.slack) + 1e-12)
        least_bytes = std::min(least_bytes, fullest(question, bounds));
    });
    const std::vector<size_t> found = balanced_bounds(question);
    EXPECT_LE(slowest(question.seconds, found), least * (1 + question.slack) + 1e-12);
    EXPECT_EQ(fullest(question, found), least_bytes);
  }
}

TEST(BalancedBounds, KeepToTheMemoryOfAStage) {
  PartitionQuestion question;
  question.seconds = {4, 1, 1, 1, 1};  // the best cut is [0, 1) [1, 5)
  question.num_stages = 2;
  question.bytes = [](size_t, size_t begin, size_t end) {
    return static_cast<int64_t>(10 * (end - begin));
  };
  EXPECT_THAT(balanced_bounds(question), ElementsAre(0, 1, 5));
  question.most_bytes = 30;
  EXPECT_THAT(balanced_bounds(question), ElementsAre(0, 2, 5));
  question.most_bytes = 20;  // none keeps to it: 30 is the least
  EXPECT_EQ(fullest(question, balanced_bounds(question)), 30);
}

TEST(BalancedBounds, LeaveNoStageEmpty) {
  PartitionQuestion question;
  question.seconds = {0, 0, 5, 0};
  question.num_stages = 4;
  EXPECT_THAT(balanced_bounds(question), ElementsAre(0, 1, 2, 3, 4));
}

}  // namespace
}  // namespace triga
