#include "comm/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

namespace triga {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Rank 0 of two on one host, the other one of which has failed.
class WatchTest : public testing::Test {
 protected:
  WatchTest() {
    group_.name = "world";
    group_.ranks = {0, 1};
    group_.hosts = {{0, 1}};
    table_->join(0);
    table_->join(1);
    table_->mark_failed(1, "a file is torn", ExitStatus::kData);
    watch_.emplace(table_, group_, ProgressStream::kData, std::make_shared<TracePointer>(nullptr));
  }

  /// An operation that is done at the second look at it after `pause`, as when a message comes.
  void wait_for_a_message(bool has_come) {
    bool is_done = false;
    watch_->run(operation_, "recv", [&] {
      int num_looks = 0;
      watch_->wait({.is_done =
                        [&] {
                          is_done = has_come && ++num_looks > 1;
                          return is_done;
                        },
                    .missing = [] { return "rank 1"; },
                    .pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(60)); },
                    .look = [&] { EXPECT_FALSE(is_done) << "nobody is waited for any more"; }});
    });
  }

  const std::shared_ptr<ProgressTable> table_ = ProgressTable::in_process({"a", "a"});
  Group group_;
  Operation operation_;
  std::optional<Watch> watch_;
};

/// Rank 0, alone on its host; of the other host nothing is seen from here.
class WatchOfAnotherHost : public testing::Test {
 protected:
  WatchOfAnotherHost() {
    group_.name = "world";
    group_.ranks = {0, 1};
    group_.hosts = {{0}, {1}};
    table_->join(0);
    operation_.deadline = std::chrono::milliseconds(1500);
    operation_.longest_stop = std::chrono::milliseconds(300);
  }
  void wait() {
    Watch watch(table_, group_, ProgressStream::kData, std::make_shared<TracePointer>(nullptr));
    watch.run(operation_, "barrier", [&] {
      watch.wait({.is_done = [] { return false; },
                  .missing = [] { return "somebody"; },
                  .pause = nullptr,
                  .look = nullptr});
    });
  }

  const std::shared_ptr<ProgressTable> table_ = ProgressTable::in_process({"a", "b"});
  Group group_;
  Operation operation_;
};

TEST_F(WatchOfAnotherHost, DoesNotWaitLongForARankWithoutASignOfLife) {
  table_->set_silence(1, std::chrono::milliseconds(4200));
  EXPECT_THAT([this] { wait(); },
              ThrowsMessage<CommError>(
                  HasSubstr("missing: rank 1 on host b, without a sign of life for 4 s")));
}

TEST_F(WatchOfAnotherHost, WaitsLongForOneThatWasHeardShortlyBefore) {
  table_->set_silence(1, std::chrono::milliseconds(200));
  EXPECT_THAT([this] { wait(); }, ThrowsMessage<CommError>(HasSubstr("missing: somebody")));
}

TEST_F(WatchOfAnotherHost, EndsByWhatAnotherThreadOfItsRankFoundOut) {
  table_->mark_failed(0, "ranks disagree", ExitStatus::kCommunication);
  EXPECT_THAT([this] { wait(); }, ThrowsMessage<CommError>(HasSubstr("ranks disagree")));
}

TEST_F(WatchTest, TakesWhatARankSentBeforeItFailed) {
  operation_.deadline = std::chrono::seconds(20);
  wait_for_a_message(true);
}

TEST_F(WatchTest, EndsWithTheCauseWhereNothingCame) {
  operation_.deadline = std::chrono::seconds(20);
  EXPECT_THAT(
      [this] { wait_for_a_message(false); },
      ThrowsMessage<CommError>(HasSubstr("rank 1 on host a failed at step 0: a file is torn")));
}

}  // namespace
}  // namespace triga
