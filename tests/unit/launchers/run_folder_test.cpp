// What launch sees of a run in its folder, also while the folder is away.
#include "launchers/run_folder.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/support/faulty_files.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    files_.before_each([this](const std::string& operation) {
      if (num_failures_ == 0) return;
      --num_failures_;
      throw FileError(operation, folder_.path(), code_);
    });
  }
  RunFolder make(milliseconds patience) {
    return {files_, directory_, [] { return false; }, PatientLook(patience, milliseconds(1))};
  }
  /// At another time than what was written before.
  void write(const RunStatus& status) {
    write_run_status(posix_files(), directory_.status(), status);
    time_ += std::chrono::seconds(1);
    std::filesystem::last_write_time(directory_.status(), time_);
  }

  const test::TemporaryFolder folder_;
  const RunDirectory directory_{folder_.path()};
  test::FaultyFiles files_{posix_files()};
  int num_failures_ = 0;  // of the next operations
  int code_ = ESTALE;
  std::filesystem::file_time_type time_ = std::filesystem::file_time_type::clock::now();
};

TEST_F(RunFolderTest, TellsAStartFromTheOneBefore) {
  RunFolder folder = make(hours(1));
  folder.expect_start();
  EXPECT_EQ(folder.has_begun(), false);
  EXPECT_FALSE(folder.status().has_value());
  write({RunStatus::State::kFailed, "lost", 10, 6});
  EXPECT_EQ(folder.has_begun(), true);
  EXPECT_TRUE(folder.tells_an_end());
  folder.expect_start();
  EXPECT_EQ(folder.has_begun(), false);
  EXPECT_FALSE(folder.tells_an_end());
  write({RunStatus::State::kRunning, "", 10, std::nullopt});
  EXPECT_EQ(folder.has_begun(), true);
  EXPECT_FALSE(folder.tells_an_end());
}

TEST_F(RunFolderTest, ThatIsAwayForAMomentIsReadAfterIt) {
  write({RunStatus::State::kFailed, "lost", 10, 6});
  std::ofstream(directory_.failure()) << "The run failed.\n";
  RunFolder folder = make(hours(1));
  num_failures_ = 3;
  ASSERT_TRUE(folder.status().has_value());
  EXPECT_EQ(num_failures_, 0);
  num_failures_ = 3;
  EXPECT_EQ(folder.failure(), "The run failed.\n");
}

TEST_F(RunFolderTest, ThatIsAwaySaysNothingOfTheRunBeforeItIsGivenUp) {
  RunFolder folder = make(milliseconds(50));
  EXPECT_FALSE(folder.is_held());
  num_failures_ = 1000000;
  EXPECT_TRUE(folder.is_held());
  EXPECT_FALSE(folder.tells_an_end());
  EXPECT_FALSE(folder.status().has_value()) << "after 50 ms";
  EXPECT_NE(folder.problem(), "");
  EXPECT_FALSE(folder.is_held());
  num_failures_ = 0;
  write({RunStatus::State::kRunning, "", 10, std::nullopt});
  EXPECT_TRUE(folder.status().has_value()) << "it is back";
}

TEST_F(RunFolderTest, ThatMayNotBeReadIsNotWaitedFor) {
  RunFolder folder = make(hours(1));
  num_failures_ = 1000000;
  code_ = EACCES;
  EXPECT_FALSE(folder.status().has_value());
  EXPECT_EQ(folder.failure(), "");
}

TEST_F(RunFolderTest, WithAStatusThatIsNoneHasNone) {
  std::ofstream(directory_.status()) << "torn {";
  EXPECT_FALSE(make(hours(1)).status().has_value());
}

}  // namespace
}  // namespace triga
