// triga status: what it says of a run's folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launchers/command.h"
#include "metrics/run_status.h"
#include "tests/support/temporary_folder.h"
#include "trainer/rank_record.h"

namespace triga {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class StatusTest : public ::testing::Test {
 protected:
  StatusTest() { std::filesystem::create_directories(directory_.rank_records()); }

  std::string shown(const std::string& options = "") const {
    const CommandEnvironment environment;
    Command command{environment, {}};
    CLI::App app("", "triga");
    add_status(app, command);
    app.parse("status " + directory_.root.string() + options);
    std::ostringstream output;
    auto* const before = std::cout.rdbuf(output.rdbuf());
    command.run();
    std::cout.rdbuf(before);
    return output.str();
  }

  void is_at(RunStatus::State state, int64_t step) const {
    write_run_status(posix_files(), directory_.status(), {.state = state, .step = step});
  }

  void has_rank(int rank, int64_t num_failed_saves) const {
    RankRecord record;
    record.rank = rank;
    record.world_size = 2;
    record.written_at = seconds_since_1970();
    record.num_failed_saves = num_failed_saves;
    write_rank_record(directory_, record);
  }

  void has_checkpoint(const std::string& name, std::chrono::seconds age) const {
    const std::string manifest =
        folder_.write("run/checkpoints/" + name + "/training/manifest.json", "{}");
    std::filesystem::last_write_time(manifest, std::filesystem::file_time_type::clock::now() - age);
  }

  const test::TemporaryFolder folder_;
  const RunDirectory directory_{folder_.path() / "run"};
};

TEST_F(StatusTest, OfARunThatHasNotBegunSpeaksOfNoCheckpoint) {
  EXPECT_THAT(shown(), EndsWith("no run has begun here\n"));
}

TEST_F(StatusTest, NamesTheNewestCheckpointOfARunThatHasEnded) {
  is_at(RunStatus::State::kFinished, 20);
  EXPECT_THAT(shown(), EndsWith("finished at step 20\nnewest checkpoint: none\n"));
  has_checkpoint("step-00000010", std::chrono::minutes(30));
  has_checkpoint("step-00000020", std::chrono::minutes(12));
  has_checkpoint("step-00000030.9f31c2aa.tmp", std::chrono::minutes(1));  // is being written
  EXPECT_THAT(shown(),
              EndsWith("finished at step 20\nnewest checkpoint: step 20 (saved 12 min ago)\n"));
}

TEST_F(StatusTest, FindsACheckpointThatASaveIsReplacing) {
  is_at(RunStatus::State::kFailed, 10);
  has_checkpoint("step-00000010.replaced", std::chrono::hours(5));
  EXPECT_THAT(shown(), EndsWith("\nnewest checkpoint: step 10 (saved 5 h ago)\n"));
}

TEST_F(StatusTest, PassesOverACheckpointThatIsBeingRemoved) {
  is_at(RunStatus::State::kFinished, 20);
  has_checkpoint("step-00000010", std::chrono::hours(72));
  std::filesystem::create_directories(directory_.checkpoints() / "step-00000020");
  EXPECT_THAT(shown(), EndsWith("newest checkpoint: step 10 (saved 3 days ago)\n"));
}

TEST_F(StatusTest, CountsTheSavesThatFailedOfARunThatLives) {
  folder_.write(  // of a process that was alive just now, as another host sees it
      "run/lease.json",
      R"({"host": "elsewhere", "pid": 7, "start_ticks": "1", "token": "x", "beats": 3})");
  is_at(RunStatus::State::kRunning, 0);
  has_checkpoint("step-00000010", std::chrono::seconds(0));
  has_rank(1, 0);
  EXPECT_THAT(shown(), Not(HasSubstr("failed"))) << "rank 0 says nothing";
  has_rank(0, 0);
  EXPECT_THAT(shown(), HasSubstr(": running, step 0 (rank 0: process 7 on elsewhere)\n"));
  EXPECT_THAT(shown(), Not(HasSubstr("failed")));
  has_rank(0, 1);
  EXPECT_THAT(shown(), HasSubstr("\n1 save failed since"));
  has_rank(0, 3);
  EXPECT_THAT(shown(), EndsWith("\n3 saves failed since this start or its last rollback; see " +
                                (directory_.logs() / "rank-0.log").string() + "\n"));
}

TEST_F(StatusTest, CountsTheSavesThatFailedOfARunThatWasLost) {
  is_at(RunStatus::State::kRunning, 0);
  has_rank(0, 2);
  EXPECT_THAT(shown(), HasSubstr("ended without a word"));
  EXPECT_THAT(shown(), HasSubstr("\nnewest checkpoint: none\n2 saves failed since"));
}

TEST_F(StatusTest, SaysTheSameToPrograms) {
  is_at(RunStatus::State::kRunning, 0);
  nlohmann::json status = nlohmann::json::parse(shown(" --json"));
  EXPECT_TRUE(status.at("newest_checkpoint").is_null());
  EXPECT_TRUE(status.at("failed_saves").is_null());
  has_rank(0, 2);
  has_checkpoint("step-00000010", std::chrono::seconds(100));
  status = nlohmann::json::parse(shown(" --json"));
  EXPECT_EQ(status.at("newest_checkpoint").at("step"), 10);
  EXPECT_NEAR(status.at("newest_checkpoint").at("age_seconds").get<double>(), 100, 60);
  EXPECT_EQ(status.at("failed_saves"), 2);
}

}  // namespace
}  // namespace triga
