#include "launchers/wait_for_launcher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

namespace triga {
namespace {

pid_t start(const char* script) {
  const char* arguments[] = {"/bin/sh", "-c", script, nullptr};
  pid_t pid = 0;
  EXPECT_EQ(
      posix_spawn(&pid, arguments[0], nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  return pid;
}

TEST(WaitForLauncher, GivesItsStatus) {
  EXPECT_EQ(wait_for_launcher(start("exit 0")), 0);
  EXPECT_EQ(wait_for_launcher(start("exit 75")), 75);
  EXPECT_EQ(wait_for_launcher(start("kill -TERM $$")), 128 + SIGTERM);
}

TEST(WaitForLauncher, IsPatientWhileAProcessLives) {
  const auto patience = std::chrono::milliseconds(100);
  EXPECT_EQ(wait_for_launcher(start("sleep 1.5; exit 7"), patience), 7);
}

TEST(WaitForLauncher, EndsOneThatHasLostAllAndStays) {
  const auto patience = std::chrono::milliseconds(300);
  // Its child ends after a second; then it stands still.
  EXPECT_EQ(wait_for_launcher(start("sleep 1 & wait; kill -STOP $$"), patience), 128 + SIGKILL);
}

}  // namespace
}  // namespace triga
