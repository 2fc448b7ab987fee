#include "comm/start_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace triga {
namespace {

TEST(StartWatchTest, SaysThatMpiDoesNotStart) {
  std::promise<std::string> problem;
  const StartWatch watch(std::chrono::milliseconds(50),
                         [&](const std::string& text) { problem.set_value(text); });
  const std::string text = problem.get_future().get();
  EXPECT_EQ(text.find("MPI did not start within 0.05 s on host "), 0U) << text;
  EXPECT_NE(text.find("some rank"), std::string::npos) << text;
}

TEST(StartWatchTest, SaysNothingOfOneThatStarts) {
  std::atomic<bool> is_late = false;
  {
    const StartWatch watch(std::chrono::milliseconds(50),
                           [&](const std::string&) { is_late = true; });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(is_late);
}

}  // namespace
}  // namespace triga
