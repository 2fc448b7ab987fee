#include "trainer/rank_threads.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/local_communicator.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(RankThreads, AreReadOnlyWhereTheyAreThoseOfAllRanks) {
  EXPECT_THAT(parse_threads("2,2,1", 3), Optional(ElementsAre(2, 2, 1)));
  EXPECT_THAT(parse_threads("16", 1), Optional(ElementsAre(16)));
  for (const char* other :
       {"", "2", "2,2", "2,2,2,2", "2,,2", "2,0,2", "2,-1,2", "2,x,2", "2,2,2x", "2 2 2"})
    EXPECT_EQ(parse_threads(other, 3), std::nullopt) << other;
}

TEST(RankThreads, AreWhatIsWantedElseWhatIsSet) {
  const int before = at::get_num_threads();
  const auto world = make_single_communicator();
  Environment environment;
  choose_threads(*world, posix_files(), std::nullopt, std::nullopt, environment);
  EXPECT_EQ(environment, (Environment{{"threads", std::to_string(before)}}));
  EXPECT_EQ(at::get_num_threads(), before);
  choose_threads(*world, posix_files(), before + 1, std::nullopt, environment);
  EXPECT_EQ(environment, (Environment{{"threads", std::to_string(before + 1)}}));
  EXPECT_EQ(at::get_num_threads(), before + 1);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace triga
