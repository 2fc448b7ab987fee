#include "base/thread_stacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <thread>
#include <vector>

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ThreadStacks, SayWhatEachOtherThreadDoesAndInterruptNobodysWork) {
  std::atomic<bool> is_over = false;
  std::atomic<int> num_ready = 0;
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 3; ++i)
    sleepers.emplace_back([&] {
      pthread_setname_np(pthread_self(), "sleeper");
      ++num_ready;
      while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
  while (num_ready < 3) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::string stacks;
  std::thread asker([&] { stacks = thread_stacks(); });
  asker.join();
  EXPECT_THAT(stacks, AllOf(HasSubstr("main thread:\n"), HasSubstr("std::thread::join"),
                            HasSubstr("thread sleeper"), HasSubstr("nanosleep")));
  EXPECT_THAT(stacks, Not(HasSubstr("does not answer")));
  EXPECT_THAT(thread_stacks(), Not(HasSubstr("main thread"))) << "not of the thread that asks";
  is_over = true;
  for (std::thread& sleeper : sleepers) sleeper.join();
}

}  // namespace
}  // namespace triga
