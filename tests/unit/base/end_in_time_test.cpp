#include "base/end_in_time.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <thread>

namespace triga {
namespace {

using std::chrono::milliseconds;

TEST(EndInTime, EndsAProcessThatBlocksWithItsStatus) {
  const pid_t child = ::fork();
  if (child == 0) {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::timed_mutex mutex;
    mutex.lock();
    const EndInTime in_time(milliseconds(100), 6);
    std::thread([&] { (void)mutex.try_lock_for(std::chrono::seconds(20)); }).join();
    ::_exit(0);
  }
  const auto start = std::chrono::steady_clock::now();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 6);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(EndInTime, LeavesAloneAProcessThatNeedNotEnd) {
  { const EndInTime in_time(milliseconds(50), 6); }
  std::this_thread::sleep_for(milliseconds(200));
}

}  // namespace
}  // namespace triga
