#include "trainer/stragglers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Ranks that train at a pace, one window after the other.
class StragglersTest : public ::testing::Test {
 protected:
  void add_rank(int stage_rank, int64_t microbatches, const OwnWork& step) {
    RankRecord record;
    record.rank = static_cast<int>(records_.size());
    record.host = "h" + std::to_string(record.rank);
    record.stage_rank = stage_rank;
    records_.push_back(record);
    steps_.push_back(step);
    steps_.back().num_microbatches = microbatches;
  }
  /// Ten steps later.
  std::vector<std::string> next_window() {
    now_ += std::chrono::minutes(1);
    for (size_t i = 0; i < records_.size(); ++i) {
      OwnWork& work = records_[i].work;
      const OwnWork& step = steps_[i];
      work.num_steps += 10;
      work.num_microbatches += 10 * step.num_microbatches;
      work.data_seconds += 10 * step.data_seconds;
      work.compute_seconds += 10 * step.compute_seconds;
      work.update_seconds += 10 * step.update_seconds;
      work.save_seconds += 10 * step.save_seconds;
    }
    return stragglers_.look(records_, now_);
  }

  Stragglers stragglers_;
  std::vector<RankRecord> records_;
  std::vector<OwnWork> steps_;
  Stragglers::Clock::time_point now_ = Stragglers::Clock::now();
};

constexpr OwnWork kUsual = {0, 0, 0.01, 1.0, 0.1, 0.0};

TEST_F(StragglersTest, AreNamedWithTheirPartAfterThreeWindowsAndThenNotForAWhile) {
  add_rank(0, 4, kUsual);
  add_rank(0, 4, {0, 0, 0.51, 1.02, 0.1, 0.0});
  add_rank(0, 4, kUsual);
  EXPECT_THAT(next_window(), IsEmpty());
  EXPECT_THAT(next_window(), IsEmpty());
  EXPECT_THAT(next_window(), ElementsAre(AllOf(HasSubstr("rank 1 on host h1 is slower"),
                                               HasSubstr("1.63 s a step, theirs 1.11 s"),
                                               HasSubstr("in data (0.51 s against 0.01 s)"))));
  for (int i = 0; i < 9; ++i) EXPECT_THAT(next_window(), IsEmpty()) << i;
  EXPECT_THAT(next_window(), ElementsAre(HasSubstr("rank 1")));
}

TEST_F(StragglersTest, OfOneWindowAreChance) {
  add_rank(0, 4, kUsual);
  add_rank(0, 4, kUsual);
  for (int i = 0; i < 8; ++i) {
    steps_[1].compute_seconds = i % 3 == 2 ? 1 : 3;
    EXPECT_THAT(next_window(), IsEmpty()) << i;
  }
}

TEST_F(StragglersTest, AreNotThoseWithMoreMicrobatches) {
  add_rank(0, 3, {0, 0, 0.03, 1.5, 0.1, 0.0});
  add_rank(0, 2, {0, 0, 0.02, 1.0, 0.1, 0.0});
  add_rank(0, 2, {0, 0, 0.02, 1.0, 0.1, 0.0});
  for (int i = 0; i < 5; ++i) EXPECT_THAT(next_window(), IsEmpty()) << i;
}

TEST_F(StragglersTest, AreComparedWithRanksOfTheSameStages) {
  add_rank(0, 4, kUsual);
  add_rank(1, 4, {0, 0, 0.01, 3.0, 0.1, 0.0});
  for (int i = 0; i < 5; ++i) EXPECT_THAT(next_window(), IsEmpty()) << i;
}

TEST_F(StragglersTest, OfTwoRanksAreFoundToo) {
  add_rank(0, 4, kUsual);
  add_rank(0, 4, {0, 0, 0.01, 1.0, 0.1, 0.9});
  next_window();
  next_window();
  EXPECT_THAT(next_window(), ElementsAre(HasSubstr("in saving")));
}

}  // namespace
}  // namespace triga
