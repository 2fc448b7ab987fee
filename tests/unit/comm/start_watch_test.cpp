#include "comm/start_watch.h"

#include <gtest/gtest.h>

namespace triga {
namespace {

TEST(StartWatchTest, EndsAProcessThatDoesNotStart) {
  EXPECT_EXIT(
      {
        const StartWatch watch(std::chrono::milliseconds(50));
        std::this_thread::sleep_for(std::chrono::seconds(20));
      },
      testing::ExitedWithCode(6), "MPI did not start within 0.05 s on host .*some rank");
}

TEST(StartWatchTest, DoesNothingToOneThatStarts) {
  { const StartWatch watch(std::chrono::milliseconds(50)); }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace triga
