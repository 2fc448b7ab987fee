#include "trainer/hang_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "trainer/step_clock.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

class HangWatchTest : public ::testing::Test {
 protected:
  HangWatchTest() { table_->join(0); }

  std::unique_ptr<HangWatch> watch(milliseconds timeout) {
    auto made = before_steps(timeout);
    made->begin_steps();
    return made;
  }
  std::unique_ptr<HangWatch> before_steps(milliseconds timeout) {
    return std::make_unique<HangWatch>(progress_, trace_, timeout,
                                       [this](const std::string& cause, const auto& stacks) {
                                         ++num_calls_;
                                         cause_.set_value(cause + "\n" + stacks());
                                       });
  }
  bool hangs_within(milliseconds patience) {
    return found_.wait_for(patience) == std::future_status::ready;
  }

  const std::shared_ptr<ProgressTable> table_ = ProgressTable::in_process({"a"});
  Progress progress_{table_, 0};
  Trace trace_;
  std::promise<std::string> cause_;
  std::future<std::string> found_ = cause_.get_future();
  std::atomic<int> num_calls_ = 0;
};

TEST_F(HangWatchTest, SaysWhereNothingMovesAndWhatTheThreadsDo) {
  progress_.set_doing({Phase::kForward, -1, 3});
  const auto watch = this->watch(milliseconds(400));
  ASSERT_TRUE(hangs_within(milliseconds(5000)));
  EXPECT_THAT(found_.get(),
              AllOf(HasSubstr("it hangs: nothing moved for 0."),
                    HasSubstr("in forward of microbatch 3"), HasSubstr("main thread:\n")));
}

TEST_F(HangWatchTest, LetsDeadlinesOfOthersGoFirstUntilTheTrainerBegins) {
  const auto watch = before_steps(milliseconds(200));
  EXPECT_FALSE(hangs_within(milliseconds(1500)));
  watch->begin_steps();
  EXPECT_TRUE(hangs_within(milliseconds(5000)));
}

TEST_F(HangWatchTest, SaysWhatTimeWasAllowed) {
  progress_.set_patience(milliseconds(600));
  const auto watch = this->watch(milliseconds(200));
  ASSERT_TRUE(hangs_within(milliseconds(5000)));
  EXPECT_THAT(found_.get(), HasSubstr("(reading and writing files may take 0.6 s)"));
}

TEST_F(HangWatchTest, IsQuietWhileSomethingMoves) {
  const auto watch = this->watch(milliseconds(300));
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(milliseconds(30));
    progress_.move();
  }
  EXPECT_EQ(num_calls_, 0);
  EXPECT_TRUE(hangs_within(milliseconds(5000))) << "and then it does not";
}

TEST_F(HangWatchTest, LeavesAWaitForOthersToItsDeadline) {
  const TraceSpan waiting(&trace_, TraceKind::kWait, "all_reduce");
  const auto watch = this->watch(milliseconds(200));
  EXPECT_FALSE(hangs_within(milliseconds(1500)));
}

TEST_F(HangWatchTest, IsAsPatientAsItIsAsked) {
  progress_.set_patience(std::chrono::hours(2));
  const auto watch = this->watch(milliseconds(200));
  EXPECT_FALSE(hangs_within(milliseconds(800)));
  progress_.set_patience(milliseconds(0));
  EXPECT_TRUE(hangs_within(milliseconds(5000)));
}

TEST(StepClock, CountsOwnTimeAndNotThatOfWaiting) {
  const auto table = ProgressTable::in_process({"a"});
  table->join(0);
  Progress progress(table, 0);
  Trace trace;
  StepClock clock(trace, progress);
  clock.enter(Phase::kData);
  EXPECT_EQ(progress.own().doing.phase, Phase::kData);
  std::this_thread::sleep_for(milliseconds(30));
  clock.enter(Phase::kForward);
  {
    const TraceSpan outer(&trace, TraceKind::kWait, "gradients");
    const TraceSpan inner(&trace, TraceKind::kWait, "one of them");
    EXPECT_TRUE(trace.is_waiting());
    std::this_thread::sleep_for(milliseconds(300));
  }
  EXPECT_FALSE(trace.is_waiting());
  clock.enter(Phase::kUpdate);
  clock.end_step(3);
  clock.enter_save();
  std::this_thread::sleep_for(milliseconds(20));
  clock.enter(Phase::kOther);
  const OwnWork work = clock.work();
  EXPECT_EQ(work.num_steps, 1);
  EXPECT_EQ(work.num_microbatches, 3);
  EXPECT_GE(work.data_seconds, 0.03);
  EXPECT_LT(work.compute_seconds, 0.2) << "it only waited";
  EXPECT_GE(work.save_seconds, 0.02);
}

}  // namespace
}  // namespace triga
