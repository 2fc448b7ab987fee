#include "comm/process_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/local_ranks.h"

namespace triga {
namespace {

TEST(ResolveGrid, GivesTheRestToDataParallelism) {
  EXPECT_EQ(resolve_grid(6, std::nullopt, 2).dp, 3);
  EXPECT_EQ(resolve_grid(6, std::nullopt, 2).pp, 2);
  EXPECT_EQ(resolve_grid(1, std::nullopt, 1).dp, 1);
  EXPECT_EQ(resolve_grid(4, 2, 2).dp, 2);
}

TEST(ResolveGrid, SaysWhyANumberOfRanksDoesNotFit) {
  const auto message = [](int world_size, std::optional<int64_t> dp, int64_t pp) -> std::string {
    try {
      resolve_grid(world_size, dp, pp);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message(3, 2, 2),
              ::testing::HasSubstr("dp * pp = 2 * 2 = 4, but 3 ranks run. Start 4 ranks"));
  EXPECT_THAT(message(1, 4, 1), ::testing::HasSubstr("but 1 rank runs"));
  EXPECT_THAT(message(5, std::nullopt, 2),
              ::testing::HasSubstr("2 stages cannot share 5 ranks evenly"));
}

TEST(ProcessGrid, RanksOfAStageAreNeighbours) {
  testing::run_ranks(6, [](Communicator& world) {
    const ProcessGrid grid(world, {.dp = 3, .pp = 2});
    EXPECT_EQ(grid.dp_rank(), world.rank() % 3);
    EXPECT_EQ(grid.pp_rank(), world.rank() / 3);
    EXPECT_EQ(grid.rank_at(grid.dp_rank(), grid.pp_rank()), world.rank());
    EXPECT_EQ(grid.is_first_stage(), world.rank() < 3);
    EXPECT_EQ(grid.is_last_stage(), world.rank() >= 3);
    EXPECT_EQ(grid.data().rank(), grid.dp_rank());
    EXPECT_EQ(grid.data().size(), 3);
    EXPECT_EQ(grid.pipeline().rank(), grid.pp_rank());
    EXPECT_EQ(grid.pipeline().size(), 2);
    std::vector<double> ranks = {static_cast<double>(world.rank())};
    grid.data().all_reduce_values(ranks, ReduceOp::kSum, "ranks of the stage");
    EXPECT_EQ(ranks[0], grid.pp_rank() == 0 ? 0 + 1 + 2 : 3 + 4 + 5);
    ranks = {static_cast<double>(world.rank())};
    grid.pipeline().all_reduce_values(ranks, ReduceOp::kSum, "ranks of the pipeline");
    EXPECT_EQ(ranks[0], 2 * grid.dp_rank() + 3);
  });
}

}  // namespace
}  // namespace triga
