#include "launchers/wait_for_launcher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/process_stat.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

pid_t start(const char* script) {
  const char* arguments[] = {"/bin/sh", "-c", script, nullptr};
  pid_t pid = 0;
  EXPECT_EQ(
      posix_spawn(&pid, arguments[0], nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  return pid;
}

bool never() {
  return false;
}

TEST(WaitForLauncher, GivesItsStatus) {
  EXPECT_EQ(wait_for_launcher(start("exit 0"), never), 0);
  EXPECT_EQ(wait_for_launcher(start("exit 75"), never), 75);
  EXPECT_EQ(wait_for_launcher(start("kill -TERM $$"), never), 128 + SIGTERM);
}

TEST(WaitForLauncher, IsPatientWhileAProcessLives) {
  const LauncherPatience patience{.without_ranks = std::chrono::milliseconds(100)};
  EXPECT_EQ(wait_for_launcher(start("sleep 1.5; exit 7"), never, patience), 7);
}

TEST(WaitForLauncher, EndsOneThatHasLostAllAndStays) {
  const LauncherPatience patience{.without_ranks = std::chrono::milliseconds(300)};
  // Its child ends after a second; then it stands still.
  EXPECT_EQ(wait_for_launcher(start("sleep 1 & wait; kill -STOP $$"), never, patience),
            128 + SIGKILL);
}

TEST(WaitForLauncher, EndsOneThatStaysAfterTheRunHasEnded) {
  const LauncherPatience patience{.after_the_end = std::chrono::milliseconds(200)};
  EXPECT_EQ(
      wait_for_launcher(
          start("trap 'kill $!; exit 9' TERM; sleep 60 & wait"), [] { return true; }, patience),
      9);
}

TEST(WaitForLauncher, KillsOneThatDoesNotWantToEndWithWhatItStarted) {
  const LauncherPatience patience{.after_the_end = std::chrono::milliseconds(200),
                                  .after_sigterm = std::chrono::milliseconds(200)};
  const test::TemporaryFolder folder;
  const std::string file = folder / "child";
  const std::string script = "trap '' TERM; sleep 60 & echo $! > " + file + "; wait; wait";
  EXPECT_EQ(wait_for_launcher(
                start(script.c_str()), [] { return true; }, patience),
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
