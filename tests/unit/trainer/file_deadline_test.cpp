#include "trainer/file_deadline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/local_ranks.h"

namespace triga {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kUsual{300};

void be_slow() {
  std::this_thread::sleep_for(milliseconds(1200));
}

TEST(FileDeadline, LetsARankReadForLongerThanOthersUsuallyWait) {
  const auto errors = testing::run_ranks_catching(
      2,
      [](Communicator& world) {
        const int read = at_the_pace_of_files(world, kUsual, "reading", [&] {
          EXPECT_GE(world.progress().patience(), std::chrono::hours(2));
          if (world.rank() == 1) be_slow();
          return world.rank();
        });
        EXPECT_EQ(read, world.rank());
        EXPECT_EQ(world.progress().patience(), milliseconds(0));
        world.barrier("which finds all ranks at the same place");
      },
      {.deadline = kUsual, .hosts = {}});
  EXPECT_FALSE(errors[0]);
  EXPECT_FALSE(errors[1]);
}

TEST(FileDeadline, IsOverAfterwards) {
  const auto errors = testing::run_ranks_catching(2,
                                                  [](Communicator& world) {
                                                    at_the_pace_of_files(world, kUsual, "reading",
                                                                         [] { return 0; });
                                                    if (world.rank() == 1) be_slow();
                                                    world.barrier("of every day");
                                                  },
                                                  {.deadline = kUsual, .hosts = {}});
  EXPECT_TRUE(errors[0]);
}

TEST(FileDeadline, OfAGroupLeavesThePatienceOfTheOneAroundIt) {
  const auto world = make_single_communicator();
  const FileDeadline outer(*world, kUsual);
  { const FileDeadline of_a_group(*world, kUsual); }
  EXPECT_GE(world->progress().patience(), std::chrono::hours(2));
}

}  // namespace
}  // namespace triga
