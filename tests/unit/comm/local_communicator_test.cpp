#include "comm/local_communicator.h"

#include <gtest/gtest.h>

#include "tests/support/communicator_suite.h"
#include "tests/support/local_ranks.h"

namespace triga {
namespace {

using testing::communicator_cases;
using testing::CommunicatorCase;

class LocalCommunicator : public ::testing::TestWithParam<std::tuple<int, CommunicatorCase>> {};

TEST_P(LocalCommunicator, DoesWhatEveryCommunicatorDoes) {
  const auto& [num_ranks, one] = GetParam();
  testing::run_ranks(num_ranks, one.run);
}

INSTANTIATE_TEST_SUITE_P(Ranks, LocalCommunicator,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4),
                                            ::testing::ValuesIn(communicator_cases())),
                         [](const auto& info) {
                           return c10::str(std::get<1>(info.param).name, "On",
                                           std::get<0>(info.param));
                         });

TEST(SingleCommunicator, NeedsNoOtherRankAndFinishes) {
  const auto world = make_single_communicator();
  EXPECT_EQ(world->size(), 1);
  EXPECT_EQ(world->name(), "world");
  for (const auto& one : communicator_cases()) one.run(*world);
  world->finish();
}

}  // namespace
}  // namespace triga
