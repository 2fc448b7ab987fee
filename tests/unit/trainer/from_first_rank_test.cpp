#include "trainer/from_first_rank.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>

#include "base/files.h"
#include "tests/support/local_ranks.h"

namespace triga {
namespace {

TEST(FromFirstRankTest, IsTheOutcomeOfRank0OnEveryRank) {
  std::atomic<int> num_calls = 0;
  testing::run_ranks(3, [&](Communicator& world) {
    EXPECT_EQ(from_first_rank(world, "work",
                              [&] {
                                ++num_calls;
                                return std::string("!outcome\n");
                              }),
              "!outcome\n");
  });
  EXPECT_EQ(num_calls, 1);
}

TEST(FromFirstRankTest, ErrorsHaveTheStatusAndWordsOfRank0OnEveryRank) {
  const auto errors = testing::run_ranks_catching(2, [](Communicator& world) {
    from_first_rank(world, "work", []() -> std::string { throw DataError("line 1\nline 2"); });
  });
  EXPECT_THROW(std::rethrow_exception(errors[0]), DataError);
  try {
    std::rethrow_exception(errors[1]);
  } catch (const SaidByFirstRank& error) {
    EXPECT_EQ(error.status(), ExitStatus::kData);
    EXPECT_STREQ(error.what(), "line 1\nline 2");
  }
}

TEST(FromFirstRankTest, AFolderThatCannotBeUsedIsACheckpointError) {
  const auto errors = testing::run_ranks_catching(1, [](Communicator& world) {
    from_first_rank(world, "work",
                    []() -> std::string { throw FileError("write", "/run/a", ENOSPC); });
  });
  try {
    std::rethrow_exception(errors[0]);
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find("/run/a"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace triga
