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

// Ranks that believe to be on several hosts: each with its own memory, some alone, some in turn.
struct Placement {
  const char* name;
  std::vector<std::string> hosts;
};
const std::vector<Placement> kPlacements = {
    {"Apart", {"a", "b"}},
    {"TwoAndOne", {"a", "a", "b"}},
    {"OneAndTwo", {"a", "b", "b"}},
    {"TwoAndTwo", {"a", "a", "b", "b"}},
    {"InTurn", {"a", "b", "a", "b"}},
    {"ThreeAndTwo", {"a", "a", "a", "b", "b"}},
    {"ThreeHosts", {"a", "b", "b", "c", "c", "c"}},
};

class SeveralHosts : public ::testing::TestWithParam<std::tuple<Placement, CommunicatorCase>> {};

TEST_P(SeveralHosts, DoWhatOneHostDoes) {
  const auto& [placement, one] = GetParam();
  testing::run_ranks(static_cast<int>(placement.hosts.size()), one.run, placement.hosts);
}

INSTANTIATE_TEST_SUITE_P(Hosts, SeveralHosts,
                         ::testing::Combine(::testing::ValuesIn(kPlacements),
                                            ::testing::ValuesIn(communicator_cases())),
                         [](const auto& info) {
                           return c10::str(std::get<1>(info.param).name, "On",
                                           std::get<0>(info.param).name);
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
