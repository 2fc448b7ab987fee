#include "trainer/failure_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "metrics/run_status.h"
#include "tests/support/faulty_files.h"
#include "tests/support/local_ranks.h"
#include "tests/support/temporary_folder.h"
#include "trainer/last_words.h"
#include "trainer/rank_record.h"

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FailureReportTest : public ::testing::Test {
 protected:
  FailureReportTest() { std::filesystem::create_directories(directory_.rank_records()); }

  void report(Communicator& world, const std::string& cause, ExitStatus status,
              const std::string& host = "") {
    report_failure(posix_files(), directory_,
                   {cause, status, 17, "triga train a.yaml", world.progress().to_text(), host});
  }
  std::string text() { return read_text(posix_files(), directory_.failure()); }
  int exit_status() {
    return read_run_status(posix_files(), directory_.status())->exit_status.value_or(-1);
  }

  const test::TemporaryFolder folder_;
  const RunDirectory directory_{folder_.path()};
};

TEST_F(FailureReportTest, OfTheRankThatFailedReplacesThatOfOneThatMissedIt) {
  testing::run_ranks(2, [&](Communicator& world) {
    if (world.rank() == 0) report(world, "rank 1 is missing", ExitStatus::kCommunication);
    world.barrier("first report");
    if (world.rank() == 1) report(world, "a file is torn", ExitStatus::kData);
    world.barrier("second report");
    if (world.rank() == 0) report(world, "another cause, later", ExitStatus::kData);
    world.barrier("third report");
  });
  EXPECT_THAT(text(), AllOf(HasSubstr("failed at step 17"), HasSubstr("rank 1 on host "),
                            HasSubstr("\na file is torn\nWhere the ranks were:\n"),
                            HasSubstr("To go on: triga train a.yaml"),
                            Not(HasSubstr("rank 1 is missing")), Not(HasSubstr("later"))));
  EXPECT_EQ(exit_status(), static_cast<int>(ExitStatus::kData));
}

TEST_F(FailureReportTest, OfOneThatSawItOnItsHostReplacesThatOfOneElsewhere) {
  const auto host = [this] { return read_run_status(posix_files(), directory_.status())->host; };
  testing::run_ranks(1, [&](Communicator& world) {
    report(world, "rank 1 is missing", ExitStatus::kCommunication);
    EXPECT_EQ(host(), "");
    report(world, "rank 1 died", ExitStatus::kCommunication, "b");
    report(world, "rank 1 died, says another one", ExitStatus::kCommunication, "b");
  });
  EXPECT_EQ(host(), "b");
  EXPECT_THAT(text(), AllOf(HasSubstr("rank 1 died\n"), Not(HasSubstr("another"))));
  testing::run_ranks(1, [&](Communicator& world) {
    report(world, "a file is torn", ExitStatus::kData, "b");
    report(world, "rank 1 failed: a file is torn", ExitStatus::kCommunication, "b");
  });
  EXPECT_EQ(exit_status(), static_cast<int>(ExitStatus::kData)) << "the cause, not its echo";
}

TEST_F(FailureReportTest, OfACrashComesFirstOrNotAtAll) {
  const auto crash = [this] {
    report_failure(
        posix_files(), directory_,
        {.cause = "rank 0 crashed", .status = ExitStatus::kInternal, .signal = "SIGSEGV"});
  };
  testing::run_ranks(1, [&](Communicator& world) {
    report(world, "rank 0 is missing: it was stopped", ExitStatus::kCommunication);
    crash();
    EXPECT_THAT(text(), HasSubstr("it was stopped")) << "the crash came later";
    clear_failure(posix_files(), directory_);
    crash();
    report(world, "rank 0 failed", ExitStatus::kCommunication, "b");
  });
  EXPECT_THAT(text(), HasSubstr("rank 0 crashed"));
}

TEST_F(FailureReportTest, OfSeveralThatMissedOneTheFirstStays) {
  testing::run_ranks(2, [&](Communicator& world) {
    if (world.rank() == 0) report(world, "the first", ExitStatus::kCommunication);
    world.barrier("first report");
    if (world.rank() == 1) report(world, "the second", ExitStatus::kCommunication);
    world.barrier("second report");
  });
  EXPECT_THAT(text(), AllOf(HasSubstr("\nthe first\n"), Not(HasSubstr("second"))));
}

TEST_F(FailureReportTest, OfRanksOfOtherHostsTellsWhatTheyLastWrote) {
  const auto table = ProgressTable::create_shared({"a", "b", "b"});
  table->join(0);
  table->set_step(0, 17);
  RankRecord far;
  far.rank = 1;
  far.host = "b";
  far.step = 16;
  far.what = "data";
  far.written_at = seconds_since_1970() - 100;
  write_rank_record(directory_, far);
  const Progress progress(table, 0);
  EXPECT_THAT(where_all_were(posix_files(), directory_, progress),
              AllOf(HasSubstr("  rank 0 on host a: step 17"),
                    HasSubstr("\n  rank 1 on host b (silent): step 16, data, for 100 s\n"),
                    HasSubstr("\n  rank 2 on host b (not visible from here)\n")));
}

TEST_F(FailureReportTest, OnADiskThatDoesNotAnswerIsGivenUp) {
  const pid_t child = ::fork();
  if (child == 0) {
    test::FaultyFiles files(posix_files());
    files.before_each(
        [](const std::string&) { std::this_thread::sleep_for(std::chrono::hours(1)); });
    const auto world = make_single_communicator();
    LastWords words(*world, files, directory_, "",
                    [](const Error& error) { ::_exit(static_cast<int>(error.status())); });
    words.begin("token", [] {});
    words.fail(DataError("the disk is gone"));
    ::_exit(0);
  }
  int status = 0;
  pid_t ended = 0;
  for (int i = 0; i < 300 && ended == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ended = ::waitpid(child, &status, WNOHANG);
  }
  if (ended == 0) ::kill(child, SIGKILL);
  ASSERT_EQ(ended, child) << "still there after 15 s";
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitStatus::kData));
}

TEST_F(FailureReportTest, OfARankThatFailedNamesIt) {
  testing::run_ranks_catching(2, [&](Communicator& world) {
    if (world.rank() == 0) return;
    LastWords words(world, posix_files(), directory_, "triga train a.yaml", nullptr);
    words.begin("", [] {});
    words.fail(DataError("a file is torn"));
  });
  EXPECT_THAT(text(), ::testing::ContainsRegex("\nrank 1 on host [^:]+: a file is torn\n"));
}

/// What LastWords does where a command would leave the process.
TEST_F(FailureReportTest, OfARankThatHangsIsWrittenBeforeTheOthersHearOfIt) {
  bool was_written = false;
  const auto errors = testing::run_ranks_catching(2, [&](Communicator& world) {
    if (world.rank() == 0) return world.barrier("that rank 1 never comes to");
    LastWords words(world, posix_files(), directory_, "triga train a.yaml",
                    [&](const Error& error) {
                      was_written = exists(posix_files(), directory_.failure());
                      EXPECT_EQ(error.status(), ExitStatus::kCommunication);
                    });
    words.begin("", [] {});
    words.hang("it hangs: nothing moved for 3 s\nWhat its threads do:\n  main thread:\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  });
  EXPECT_TRUE(was_written);
  ASSERT_TRUE(errors[0]);
  try {
    std::rethrow_exception(errors[0]);
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 1 on host"), HasSubstr("failed at step 0"),
                                    HasSubstr("it hangs: nothing moved for 3 s")));
  }
  EXPECT_THAT(text(), AllOf(HasSubstr("rank 1 on host "), HasSubstr("main thread:")));
  EXPECT_EQ(exit_status(), 6);
}

}  // namespace
}  // namespace triga
