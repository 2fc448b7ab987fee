#include "base/thread_stacks.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/process_stat.h"

namespace {
thread_local int slow_by_ms = 0;
}  // namespace

/// Stands before libc's: in a thread that is slow, finding its calls takes a while.
extern "C" __attribute__((visibility("default"))) int backtrace(void** calls, int size) {
  static const auto own = reinterpret_cast<int (*)(void**, int)>(::dlsym(RTLD_NEXT, "backtrace"));
  timespec left = {slow_by_ms / 1000, slow_by_ms % 1000 * 1'000'000L};
  while (slow_by_ms > 0 && ::nanosleep(&left, &left) != 0) {
  }
  return own(calls, size);
}

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Until the kernel says that the thread sleeps: only then is where it stands known. On a busy
/// machine it may be far behind what it announced.
void wait_until_asleep(pid_t thread) {
  const std::string folder = "/proc/self/task/" + std::to_string(thread);
  for (std::optional<ProcessStat> stat; !stat || stat->state != 'S';
       stat = read_process_stat(std::filesystem::path(folder)))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(ThreadStacks, SayWhatEachOtherThreadDoesAndInterruptNobodysWork) {
  std::atomic<bool> is_over = false;
  std::atomic<bool> only_waits = false;
  std::array<std::atomic<pid_t>, 3> sleeper_ids = {};
  std::vector<std::thread> sleepers;
  for (std::atomic<pid_t>& id : sleeper_ids)
    sleepers.emplace_back([&] {
      pthread_setname_np(pthread_self(), "sleeper");
      id = ::gettid();
      while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
  for (std::atomic<pid_t>& id : sleeper_ids) {
    while (id == 0) std::this_thread::yield();
    wait_until_asleep(id);
  }
  std::string stacks;
  std::thread asker([&, main_id = ::gettid()] {
    while (!only_waits) std::this_thread::yield();
    wait_until_asleep(main_id);
    stacks = thread_stacks();
  });
  only_waits = true;
  asker.join();
  EXPECT_THAT(stacks, AllOf(HasSubstr("main thread:\n"), HasSubstr("std::thread::join"),
                            HasSubstr("thread sleeper"), HasSubstr("nanosleep")));
  EXPECT_THAT(stacks, Not(HasSubstr("does not answer")));
  EXPECT_THAT(thread_stacks(), Not(HasSubstr("main thread"))) << "not of the thread that asks";
  is_over = true;
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(ThreadStacks, OfOneThatAnswersTooLateIsNotTakenForTheNextOnes) {
  std::atomic<bool> is_over = false;
  std::atomic<int> num_ready = 0;
  std::thread late([&] {
    pthread_setname_np(pthread_self(), "late");
    slow_by_ms = 1300;
    ++num_ready;
    while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    slow_by_ms = 0;
  });
  while (num_ready < 1) std::this_thread::yield();
  std::thread next([&] {  // is asked after a second, and answers after the late one has
    pthread_setname_np(pthread_self(), "next");
    slow_by_ms = 600;
    ++num_ready;
    while (!is_over) ::poll(nullptr, 0, 5);
    slow_by_ms = 0;
  });
  while (num_ready < 2) std::this_thread::yield();
  const std::string stacks = thread_stacks(std::chrono::seconds(1));
  is_over = true;
  late.join();
  next.join();
  const size_t of_late = stacks.find("thread late"), of_next = stacks.find("thread next");
  ASSERT_NE(of_next, std::string::npos) << stacks;
  ASSERT_LT(of_late, of_next) << stacks;
  EXPECT_THAT(stacks.substr(of_late, of_next - of_late), HasSubstr("does not answer"));
  EXPECT_THAT(stacks.substr(of_next), AllOf(HasSubstr("poll"), Not(HasSubstr("clock_nanosleep"))));
}

}  // namespace
}  // namespace triga
