#include "trainer/rank_reporter.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/log_outputs.h"
#include "comm/operation_ledger.h"
#include "tests/support/local_ranks.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/comm/operation_differences.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RankReporterTest : public ::testing::Test {
 protected:
  RankReporterTest() {
    LogOutputOptions options;
    options.file = log_file_;
    log_ = std::make_unique<LogOutputs>(options);
  }
  std::string log() { return read_text(posix_files(), log_file_); }
  static bool comes_true(const std::function<bool()>& is_true) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(milliseconds(20)))
      if (is_true()) return true;
    return false;
  }

  const test::TemporaryFolder folder_;
  const std::string log_file_ = folder_ / "log.txt";
  const RunDirectory directory_{folder_.path() / "run"};
  std::unique_ptr<LogOutputs> log_;
};

TEST_F(RankReporterTest, WritesWhereARankIsWhileItLives) {
  std::filesystem::create_directories(directory_.rank_records());
  testing::run_ranks(1, [&](Communicator& world) {
    Trace trace;
    StepClock clock(trace, world.progress());
    world.progress().report(17, "evaluation");
    RankReporter reporter(world, trace, clock, posix_files(), directory_);
    const auto record = [&] { return read_rank_records(posix_files(), directory_); };
    ASSERT_TRUE(comes_true([&] { return record().size() == 1; }));
    EXPECT_EQ(record()[0].step, 17);
    EXPECT_EQ(record()[0].pid, ::getpid());
    EXPECT_EQ(record()[0].num_failed_saves, 0);
    world.progress().report(18, "");
    reporter.record_saves({.last_saved_step = 10, .num_failed = 2});
    EXPECT_TRUE(comes_true([&] { return record()[0].step == 18; }));
    EXPECT_TRUE(comes_true([&] { return record()[0].num_failed_saves == 2; }));
  });
  EXPECT_TRUE(std::filesystem::is_empty(directory_.rank_records()));
}

TEST_F(RankReporterTest, SaysOnceThatItsFolderIsGone) {
  testing::run_ranks(1, [&](Communicator& world) {
    Trace trace;
    StepClock clock(trace, world.progress());
    const RankReporter reporter(world, trace, clock, posix_files(), directory_);
    std::this_thread::sleep_for(milliseconds(2500));
  });
  const std::string text = log();
  const size_t first = text.find("cannot say how this rank is doing");
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("cannot say", first + 1), std::string::npos) << text;
}

TEST_F(RankReporterTest, WarnsOfARankThatIsSlowerThanTheOthers) {
  std::filesystem::create_directories(directory_.rank_records());
  testing::run_ranks(3, [&](Communicator& world) {
    Trace trace;
    StepClock clock(trace, world.progress());
    Stragglers::Options quick;
    quick.window = milliseconds(900);
    quick.num_windows = 2;
    const RankReporter reporter(world, trace, clock, posix_files(), directory_, quick);
    for (int step = 0; step < 40; ++step) {  // of about a tenth of a second, as the slowest has it
      clock.enter(Phase::kData);
      std::this_thread::sleep_for(milliseconds(world.rank() == 1 ? 100 : 20));
      clock.enter(Phase::kUpdate);
      clock.end_step(2);
      const TraceSpan span(&trace, TraceKind::kWait, "the others");
      world.barrier("end of the step");
    }
  });
  EXPECT_THAT(log(), HasSubstr("rank 1 on host "));
  EXPECT_THAT(log(), HasSubstr("is slower than the others"));
  EXPECT_THAT(log(), HasSubstr("most of the difference is in data"));
  EXPECT_THAT(log(), ::testing::Not(HasSubstr("rank 0 on host")));
}

// Of operations that nobody compares when they begin, as those of NCCL.
TEST_F(RankReporterTest, EndsARankWhereAnotherHostDoesSomethingElse) {
  std::atomic<int> num_found{0};
  std::filesystem::create_directories(directory_.rank_records());
  testing::run_ranks(
      2,
      [&](Communicator& world) {
        Trace trace;
        StepClock clock(trace, world.progress());
        const RankReporter reporter(world, trace, clock, posix_files(), directory_);
        const std::shared_ptr<OperationLedger> ledger = OperationLedger::open(world);
        ASSERT_TRUE(ledger);
        world.progress().add_ledger(ledger);
        ledger->end(ledger->begin(testing::all_reduce(5)));
        std::this_thread::sleep_for(milliseconds(2500));
        world.barrier("nothing is wrong");
        EXPECT_EQ(read_rank_record(posix_files(), directory_, world.rank())->begun.size(), 1U);
        ledger->begin(testing::all_reduce(world.rank() == 0 ? 5 : 6));
        const auto words =
            AllOf(HasSubstr("ranks of group world disagree on what to do next: "),
                  HasSubstr("rank 0 on host a: all_reduce sum of 5 fp32 \"bucket 3\""),
                  HasSubstr("rank 1 on host b: all_reduce sum of 6 fp32 \"bucket 3\""));
        const auto has_failed = [&] { return world.progress().own().state == RankState::kFailed; };
        EXPECT_TRUE(comes_true(has_failed));
        ++num_found;
        EXPECT_TRUE(comes_true([&] { return num_found == 2; })) << "each finds it";
        const auto wait = [&] {
          world.recv(at::zeros({1}), 1 - world.rank(), "what nobody sends").wait();
        };
        EXPECT_THAT(test::message_of<CommError>(wait), words);
      },
      {"a", "b"});
}

}  // namespace
}  // namespace triga
