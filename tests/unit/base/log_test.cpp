#include "triga/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
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

TEST(Log, IsOnTheTerminalWhileTheFileBlocksAndInTheFileLater) {
  const TemporaryFolder folder;
  const std::string path = folder / "rank-0.log";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reading = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reading, 0);
  CapturedTerminal captured(/*is_interactive=*/false);
  std::string shown, written;
  std::thread reader;
  {
    const LogOutputs outputs({.file = path, .terminal = &captured.terminal()});
    const std::string longer_than_a_pipe(1 << 18, 'x');
    std::thread blocked([&] { log_info("data", longer_than_a_pipe); });
    const auto pause = std::chrono::milliseconds(10);
    int num_bytes = 0;
    for (int i = 0; i < 1000 && num_bytes == 0; ++i) {  // until it stands in the write
      std::this_thread::sleep_for(pause);
      ioctl(reading, FIONREAD, &num_bytes);
    }
    std::atomic<bool> has_said = false;
    std::thread other([&] {
      log_warning("checkpoint", "the save hangs");
      log_warning("checkpoint", "it still hangs");
      has_said = true;
    });
    for (int i = 0; i < 1000 && !has_said; ++i) std::this_thread::sleep_for(pause);
    EXPECT_TRUE(has_said) << "the file of one thread holds up another one";
    shown = captured.take();
    fcntl(reading, F_SETFL, 0);  // from here on it waits for bytes, until the file is closed
    reader = std::thread([&] {
      char piece[4096];
      for (ssize_t n; (n = read(reading, piece, sizeof piece)) > 0;)
        written.append(piece, static_cast<size_t>(n));
    });
    blocked.join();
    other.join();
  }
  reader.join();
  close(reading);
  EXPECT_THAT(shown, ::testing::EndsWith("x\n[checkpoint] warning: the save hangs\n"
                                         "[checkpoint] warning: it still hangs\n"));
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 3) << "lines are whole";
  EXPECT_THAT(written, HasSubstr("[data] xxx"));
  EXPECT_THAT(written, HasSubstr("x\n"));
  EXPECT_THAT(written, HasSubstr("[checkpoint] the save hangs\n"));
  EXPECT_THAT(written, ::testing::EndsWith("[checkpoint] it still hangs\n"));
}

TEST(Log, HasLinesForTheFileAlone) {
  const TemporaryFolder folder;
  log_to_file(LogLevel::kError, "train", "nobody listens");
  {
    const LogOutputs outputs({.file = folder / "rank-0.log", .is_json = true, .rank = 3});
    log_to_file(LogLevel::kError, "train", "the disk is full");
  }
  const auto lines = lines_of(folder / "rank-0.log");
  ASSERT_EQ(lines.size(), 1u) << "none from before there was a file";
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["message"], "the disk is full");
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
