#include "triga/log.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/log_outputs.h"
#include "tests/support/captured_terminal.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "triga/error.h"

namespace triga {
namespace {

using test::CapturedTerminal;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(Log, GoesToTheRanksFileWithTimeLevelAndArea) {
  const TemporaryFolder folder;
  const LogOutputs outputs({.file = folder / "log/rank-3.log"});
  log_info("data", "read ", 12, " files");
  log(LogLevel::kError, "comm", "rank 2 is gone");
  log(LogLevel::kDebug, "comm", "all_reduce");
  const auto lines = lines_of(folder / "log/rank-3.log");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], MatchesRegex("[-0-9]+ [0-9:.]+ I \\[data\\] read 12 files"));
  EXPECT_THAT(lines[1], HasSubstr(" E [comm] rank 2 is gone"));
  EXPECT_THAT(lines[2], HasSubstr(" D [comm] all_reduce"));
}

TEST(Log, GivesAJsonObjectALineWhenAsked) {
  const TemporaryFolder folder;
  const LogOutputs outputs({.file = folder / "rank-3.log", .is_json = true, .rank = 3});
  log_warning("data", "a \"quoted\"\nline and \xff, no UTF-8");
  log(LogLevel::kDebug, "comm", "all_reduce");
  const auto lines = lines_of(folder / "rank-3.log");
  ASSERT_EQ(lines.size(), 2u);
  const auto first = nlohmann::json::parse(lines[0]), second = nlohmann::json::parse(lines[1]);
  EXPECT_THAT(first["time"].get<std::string>(),
              MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9][0-9][0-9]Z"));
  EXPECT_EQ(first["level"], "warning");
  EXPECT_EQ(first["area"], "data");
  EXPECT_EQ(first["rank"], 3);
  EXPECT_EQ(first["message"], "a \"quoted\"\nline and \xEF\xBF\xBD, no UTF-8");
  EXPECT_EQ(second["level"], "debug");
}

TEST(Log, AppendsToTheFileOfAnEarlierStart) {
  const TemporaryFolder folder;
  for (int start = 0; start < 2; ++start) {
    const LogOutputs outputs({.file = folder / "rank-0.log"});
    log_info("trainer", "start ", start);
  }
  EXPECT_EQ(lines_of(folder / "rank-0.log").size(), 2u);
}

TEST(Log, GoesToTheTerminalAboveTheBar) {
  CapturedTerminal captured(/*is_interactive=*/true);
  const LogOutputs outputs({.terminal = &captured.terminal()});
  captured.terminal().show_bar("bar");
  log_warning("checkpoint", "the disk is slow");
  log(LogLevel::kDebug, "checkpoint", "not shown");
  EXPECT_EQ(captured.take(), "\r\x1b[Kbar\r\x1b[K[checkpoint] warning: the disk is slow\nbar");
}

TEST(Log, ColorsOnlyTheLevelAndOnlyWhenAsked) {
  CapturedTerminal captured(/*is_interactive=*/true, /*use_color=*/true);
  const LogOutputs outputs({.terminal = &captured.terminal()});
  log(LogLevel::kError, "data", "lost");
  log_info("data", "found");
  EXPECT_EQ(captured.take(), "[data] \x1b[31merror: \x1b[0mlost\n[data] found\n");
}

TEST(Log, WritesWholeLinesFromManyThreads) {
  const TemporaryFolder folder;
  {
    const LogOutputs outputs({.file = folder / "rank-0.log"});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) log_info("data", std::string(200, 'x'));
      });
    for (auto& thread : threads) thread.join();
  }
  const auto lines = lines_of(folder / "rank-0.log");
  ASSERT_EQ(lines.size(), 400u);
  for (const auto& line : lines)
    EXPECT_THAT(line, ::testing::EndsWith("[data] " + std::string(200, 'x')));
}

TEST(Log, SaysWarningsOnStderrWhenItHasNoOutputs) {
  ::testing::internal::CaptureStderr();
  log_info("data", "not worth it");
  log_warning("data", "careful");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "[data] warning: careful\n");
}

TEST(Log, GoesOnWhenTheDiskIsFull) {
  const LogOutputs outputs({.file = "/dev/full"});
  ::testing::internal::CaptureStderr();
  log_info("data", "one");
  log_info("data", "two");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("[log] warning: "));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST(Log, RefusesAFileThatCannotBeOpened) {
  const TemporaryFolder folder;
  folder.write("file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { LogOutputs({.file = folder / "file/rank-0.log"}); }),
              HasSubstr("cannot open the log"));
}

TEST(Log, HasOneSetOfOutputsAtATime) {
  const LogOutputs outputs({});
  EXPECT_THROW(LogOutputs({}), Error);
}

}  // namespace
}  // namespace triga
