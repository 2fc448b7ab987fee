#include "launchers/wait_for_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/process_stat.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;

int run(const std::string& script, const std::function<bool()>& has_ended,
        const LauncherPatience& patience = {}, bool is_alive = false) {
  ChildProcess launcher({"/bin/sh", "-c", script}, ChildProcess::Streams::kOurs);
  return wait_for_launcher(launcher, {has_ended, [=] { return is_alive; }}, patience);
}

bool never() {
  return false;
}

TEST(WaitForLauncher, GivesItsStatus) {
  EXPECT_EQ(run("exit 0", never), 0);
  EXPECT_EQ(run("exit 75", never), 75);
  EXPECT_EQ(run("kill -TERM $$", never), 128 + SIGTERM);
}

TEST(WaitForLauncher, IsPatientWhileAProcessLives) {
  const LauncherPatience patience{.without_ranks = std::chrono::milliseconds(100)};
  EXPECT_EQ(run("sleep 1.5; exit 7", never, patience), 7);
}

TEST(WaitForLauncher, EndsOneThatHasLostAllAndStays) {
  const LauncherPatience patience{.without_ranks = std::chrono::milliseconds(300)};
  // Its child ends after a second; then it stands still.
  EXPECT_EQ(run("sleep 1 & wait; kill -STOP $$", never, patience), 128 + SIGKILL);
}

TEST(WaitForLauncher, CountsTheProcessesThatLive) {
  std::vector<size_t> counts;
  RunSigns signs{never};
  signs.count = [&](size_t number) {
    if (counts.empty() || counts.back() != number) counts.push_back(number);
  };
  ChildProcess launcher({"/bin/sh", "-c", "sleep 2 & sleep 4 & wait; exec sleep 1"},
                        ChildProcess::Streams::kOurs);
  EXPECT_EQ(wait_for_launcher(launcher, signs), 0);
  EXPECT_THAT(counts, ElementsAre(2, 1, 0));
}

TEST(WaitForLauncher, LeavesOneWhoseRanksLiveElsewhere) {
  const LauncherPatience patience{.without_ranks = std::chrono::milliseconds(100)};
  EXPECT_EQ(run("sleep 1 & wait; exec sleep 4", never, patience, true), 0);
}

TEST(WaitForLauncher, EndsOneThatStaysAfterTheRunHasEnded) {
  const LauncherPatience patience{.after_the_end = std::chrono::milliseconds(200)};
  EXPECT_EQ(run(
                "trap 'kill $!; exit 9' TERM; sleep 60 & wait", [] { return true; }, patience),
            9);
}

TEST(WaitForLauncher, KillsOneThatDoesNotWantToEndWithWhatItStarted) {
  const LauncherPatience patience{.after_the_end = std::chrono::milliseconds(200),
                                  .after_sigterm = std::chrono::milliseconds(200)};
  const test::TemporaryFolder folder;
  const std::string file = folder / "child";
  const std::string script = "trap '' TERM; sleep 60 & echo $! > " + file + "; wait; wait";
  EXPECT_EQ(run(
                script, [] { return true; }, patience),
            128 + SIGKILL);
  int64_t child = 0;
  std::ifstream(file) >> child;
  ASSERT_GT(child, 0);
  for (int i = 0; i < 100 && read_process_stat(child) && !read_process_stat(child)->is_dead(); ++i)
    ::usleep(20000);
  const auto stat = read_process_stat(child);
  EXPECT_TRUE(!stat || stat->is_dead());
}

}  // namespace
}  // namespace triga
