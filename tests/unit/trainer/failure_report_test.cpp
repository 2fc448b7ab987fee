#include "trainer/failure_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "comm/watch.h"
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

TEST_F(FailureReportTest, WaitsForOneThatIsBeingWritten) {
  auto lock = posix_files().try_lock(directory_.root / ".failure.lock");
  std::thread holder([&] {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    lock.reset();
  });
  EXPECT_EQ(report_failure(posix_files(), directory_,
                           {.cause = "rank 1 died", .status = ExitStatus::kCommunication}),
            Reported::kWritten);
  holder.join();
  EXPECT_THAT(text(), HasSubstr("rank 1 died"));
}

TEST_F(FailureReportTest, OfTheCauseIsNotLostToOneThatNeverEnds) {
  const auto lock = posix_files().try_lock(directory_.root / ".failure.lock");
  const auto start = std::chrono::steady_clock::now();
  std::thread echo([&] {
    EXPECT_EQ(report_failure(posix_files(), directory_,
                             {.cause = "rank 1 failed", .status = ExitStatus::kCommunication}),
              Reported::kNot);
  });
  EXPECT_EQ(report_failure(posix_files(), directory_,
                           {.cause = "a file is torn", .status = ExitStatus::kData}),
            Reported::kWritten);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(4800));
  echo.join();
  EXPECT_THAT(text(), HasSubstr("a file is torn"));
  EXPECT_EQ(exit_status(), static_cast<int>(ExitStatus::kData));
}

TEST_F(FailureReportTest, BeginsWithTheStatusAndWaitsForNoDisk) {
  test::FaultyFiles files(posix_files());
  report_failure(files, directory_, {.cause = "a file is torn", .status = ExitStatus::kData});
  std::vector<std::string> renamed;
  for (const std::string& operation : files.log()) {
    EXPECT_THAT(operation, Not(HasSubstr("sync")));
    if (operation.starts_with("rename")) renamed.push_back(operation);
  }
  EXPECT_THAT(renamed, ::testing::ElementsAre(HasSubstr("status.json"), HasSubstr("failure.txt")));
}

TEST_F(FailureReportTest, IsCompletedOnlyWhileItStands) {
  Failure echo{.cause = "rank 1 is missing", .status = ExitStatus::kCommunication};
  report_failure(posix_files(), directory_, echo);
  echo.ranks = "  rank 0: step 17\n";
  complete_report(posix_files(), directory_, echo);
  EXPECT_THAT(text(), HasSubstr("rank 1 is missing\nWhere the ranks were:\n  rank 0: step 17\n"));
  report_failure(posix_files(), directory_, {.cause = "torn", .status = ExitStatus::kData});
  complete_report(posix_files(), directory_, echo);
  EXPECT_THAT(text(), AllOf(HasSubstr("\ntorn\n"), Not(HasSubstr("missing"))));
  EXPECT_EQ(exit_status(), static_cast<int>(ExitStatus::kData));
}

/// Of many ranks one reads what all ranks wrote, and one prints it.
TEST_F(FailureReportTest, ThatGivesWayCostsNoLookAtAllRanks) {
  const auto table = ProgressTable::create_shared({"a", "b"});
  for (const int rank : {0, 1}) {
    RankRecord record;
    record.rank = rank;
    write_rank_record(directory_, record);
  }
  test::FaultyFiles files(posix_files());
  std::vector<std::string> printed(2);
  testing::run_ranks_catching(2, [&](Communicator& world) {
    const auto fail = [&] {
      LastWords words(
          world, files, directory_, "", [] {},
          [&](const Error& error) { printed[static_cast<size_t>(world.rank())] = error.what(); });
      words.begin("");
      words.fail(CommError(c10::str("rank 7 is missing", kTableOfRanks, "  rank 0: step 3\n")));
    };
    if (world.rank() == 0) fail();
    if (world.rank() == 1) {
      while (printed[0].empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      fail();
    }
  });
  const auto num_read = std::count(files.log().begin(), files.log().end(), "open rank-1.json");
  EXPECT_EQ(num_read, 1);
  EXPECT_THAT(printed[0], HasSubstr("rank 0: step 3"));
  EXPECT_EQ(printed[1], "rank 7 is missing");
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
    LastWords words(
        *world, files, directory_, "", [] {},
        [](const Error& error) { ::_exit(static_cast<int>(error.status())); });
    words.begin("token");
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

/// What fails while it is reported takes the place of neither the cause nor what follows.
TEST_F(FailureReportTest, ThatFailsHalfwayLeavesTheCauseAndGivesTheLeaseUp) {
  bool is_given_up = false;
  std::string told;
  testing::run_ranks_catching(2, [&](Communicator& world) {
    if (world.rank() == 1) return;
    LastWords words(
        world, posix_files(), directory_, "", [&] { is_given_up = true; },
        [&](const Error& error) { told = error.what(); });
    words.begin("");
    words.hang("it hangs", []() -> std::string { throw FileError("list", "records", EIO); });
  });
  EXPECT_THAT(told, HasSubstr("it hangs"));
  EXPECT_THAT(text(), HasSubstr("it hangs\n"));
  EXPECT_TRUE(is_given_up);
}

TEST_F(FailureReportTest, IsFollowedByTheEndWhateverBlocks) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto world = make_single_communicator();
    LastWords words(
        *world, posix_files(), directory_, "", [] {},
        [](const Error&) { std::this_thread::sleep_for(std::chrono::hours(1)); },
        std::chrono::milliseconds(500));
    words.begin("");
    words.hang("it hangs", []() -> std::string {
      std::this_thread::sleep_for(std::chrono::hours(1));  // in the loader's lock
      return "";
    });
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitStatus::kCommunication));
  EXPECT_THAT(text(), HasSubstr("it hangs\n"));
}

TEST_F(FailureReportTest, OfARankThatFailedNamesIt) {
  testing::run_ranks_catching(2, [&](Communicator& world) {
    if (world.rank() == 0) return;
    LastWords words(
        world, posix_files(), directory_, "triga train a.yaml", [] {}, nullptr);
    words.begin("");
    words.fail(DataError("a file is torn"));
  });
  EXPECT_THAT(text(), ::testing::ContainsRegex("\nrank 1 on host [^:]+: a file is torn\n"));
}

/// What LastWords does where a command would leave the process.
TEST_F(FailureReportTest, OfARankThatHangsIsWrittenBeforeTheOthersHearOfIt) {
  bool was_written = false, was_known = false;
  const auto errors = testing::run_ranks_catching(2, [&](Communicator& world) {
    if (world.rank() == 0) return world.barrier("that rank 1 never comes to");
    LastWords words(
        world, posix_files(), directory_, "triga train a.yaml", [] {},
        [&](const Error& error) {
          was_written = exists(posix_files(), directory_.failure());
          EXPECT_EQ(error.status(), ExitStatus::kCommunication);
        });
    words.begin("");
    words.hang("it hangs: nothing moved for 3 s", [&] {
      was_known = text().find("it hangs: nothing moved for 3 s\n") != std::string::npos;
      return "What its threads do:\n  main thread:\n";
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  });
  EXPECT_TRUE(was_written);
  EXPECT_TRUE(was_known) << "before the threads are asked, which may never end";
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
