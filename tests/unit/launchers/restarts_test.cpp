#include "launchers/restarts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <sstream>
#include <thread>

#include "metrics/run_status.h"
#include "tests/support/faulty_files.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class RestartsTest : public testing::Test {
 protected:
  Restarts make(int64_t limit, milliseconds pause = milliseconds(1)) {
    return {posix_files(), directory_,
            Restarts::Options{.limit = limit,
                              .begins_anew = false,
                              .first_pause = pause,
                              .longest_pause = 2 * pause,
                              .lease_expiry = milliseconds(20)},
            [this] { return is_cancelled_.load(); }, out_};
  }
  void reach(int64_t step) {
    write_run_status(posix_files(), directory_.status(),
                     {RunStatus::State::kFailed, "lost", step, 6});
  }

  const test::TemporaryFolder folder_;
  const RunDirectory directory_{folder_.path()};
  std::atomic<bool> is_cancelled_ = false;
  std::ostringstream out_;
};

StartEnd end_with(ExitStatus status) {
  return {.status = status, .has_begun = true, .leaves_host_out = false};
}

TEST_F(RestartsTest, StartsAgainWhileStepsAreGainedUpToTheLimit) {
  Restarts restarts = make(2);
  reach(10);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  reach(20);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  reach(30);
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_THAT(out_.str(), HasSubstr("started again 2 times"));
}

TEST_F(RestartsTest, NotWithoutAGain) {
  reach(10);
  Restarts restarts = make(5);
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_THAT(out_.str(), HasSubstr("no step was gained since step 10"));
}

TEST_F(RestartsTest, WhatAFreshRunReplacesIsNoMeasure) {
  reach(10000);
  Restarts restarts(
      posix_files(), directory_, {.limit = 1, .begins_anew = true, .first_pause = milliseconds(1)},
      [] { return false; }, out_);
  reach(40);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
}

TEST_F(RestartsTest, ACheckpointIsAGainEvenIfTheStatusIsOld) {
  reach(10);
  Restarts restarts = make(1);
  std::filesystem::create_directories(directory_.checkpoints() / "step-00000015");
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
}

TEST_F(RestartsTest, ASaveIsAGainThoughTheStartBeforeCameFurther) {
  Restarts restarts = make(5);
  std::filesystem::create_directories(directory_.checkpoints() / "step-00000050");
  reach(90);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  std::filesystem::create_directories(directory_.checkpoints() / "step-00000070");
  reach(75);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  reach(74);
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
}

TEST_F(RestartsTest, WithoutAGainWhereAHostIsLeftOut) {
  reach(10);
  Restarts restarts = make(5);
  StartEnd end = end_with(ExitStatus::kCommunication);
  end.leaves_host_out = true;
  EXPECT_TRUE(restarts.again(end));
}

TEST_F(RestartsTest, WhenHostsThatWereThereCannotBeReachedForAWhile) {
  const StartEnd unreached = {
      .status = ExitStatus::kInternal, .has_begun = false, .leaves_host_out = false};
  EXPECT_FALSE(make(3).again(unreached)) << "nothing has ever begun";
  Restarts restarts = make(3);
  reach(10);
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_TRUE(restarts.again(unreached));
  EXPECT_FALSE(restarts.again({.status = ExitStatus::kUsage, .has_begun = false}));
  EXPECT_TRUE(restarts.again(unreached));
  EXPECT_FALSE(restarts.again(unreached)) << "the limit holds for them too";
}

TEST_F(RestartsTest, NotAfterAnEndThatWouldComeAgain) {
  Restarts restarts = make(5);
  reach(10);
  for (const ExitStatus status :
       {ExitStatus::kDone, ExitStatus::kInternal, ExitStatus::kUsage, ExitStatus::kPlugin,
        ExitStatus::kData, ExitStatus::kCheckpoint, ExitStatus::kDiverged, ExitStatus::kOutOfMemory,
        ExitStatus::kStopped})
    EXPECT_FALSE(restarts.again(end_with(status)));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(RestartsTest, AfterACrashAsAfterALostRank) {
  Restarts restarts = make(1);
  write_run_status(posix_files(), directory_.status(),
                   {RunStatus::State::kFailed, "rank 1 on host a crashed", 10, 1, "a", "SIGBUS"});
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kInternal)));
}

TEST_F(RestartsTest, PausesLongerEachTimeUpToAMost) {
  Restarts restarts = make(9, milliseconds(20));
  for (int i = 1; i <= 3; ++i) {
    reach(i);
    EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  }
  EXPECT_THAT(out_.str(), HasSubstr("in 0.02 s (1 of 9"));
  EXPECT_THAT(out_.str(), HasSubstr("in 0.04 s (2 of 9"));
  EXPECT_THAT(out_.str(), HasSubstr("in 0.04 s (3 of 9"));
}

/// The next `num_failures` operations find the shared file system away.
void take_away(test::FaultyFiles& files, int64_t num_failures) {
  files.before_each([left = num_failures](const std::string& operation) mutable {
    if (left-- > 0) throw FileError(operation, "runs/a", ESTALE);
  });
}

TEST_F(RestartsTest, WaitForAFolderThatIsAwayForAMoment) {
  test::FaultyFiles files(posix_files());
  reach(10);
  take_away(files, 1);
  Restarts restarts(
      files, directory_, {.limit = 5, .begins_anew = false, .first_pause = milliseconds(1)},
      [] { return false; }, out_);
  take_away(files, 1);
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_EQ(out_.str(), "triga: no step was gained since step 10: not started again\n");
}

TEST_F(RestartsTest, DoWithoutAFolderThatStaysAwayUpToTheLimit) {
  test::FaultyFiles files(posix_files());
  reach(10);
  Restarts restarts(
      files, directory_,
      {.limit = 2,
       .begins_anew = false,
       .first_pause = milliseconds(1),
       .longest_pause = milliseconds(1),
       .lease_expiry = milliseconds(20),
       .folder_patience = milliseconds(20)},
      [] { return false; }, out_);
  take_away(files, 1000000);
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kInternal)));
  EXPECT_THAT(out_.str(), HasSubstr("it is not known whether it crashed"));
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_THAT(out_.str(), HasSubstr("it is not known whether a step was gained: cannot "));
  EXPECT_TRUE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
  EXPECT_THAT(out_.str(), HasSubstr("started again 2 times"));
}

TEST_F(RestartsTest, ASignalEndsThePause) {
  Restarts restarts = make(9, std::chrono::hours(1));
  reach(10);
  std::thread signal([this] {
    std::this_thread::sleep_for(milliseconds(50));
    is_cancelled_ = true;
  });
  EXPECT_FALSE(restarts.again(end_with(ExitStatus::kCommunication)));
  signal.join();
  EXPECT_THAT(out_.str(), HasSubstr("a signal ended the wait"));
}

}  // namespace
}  // namespace triga
