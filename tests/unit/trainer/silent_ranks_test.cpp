#include "trainer/silent_ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/local_ranks.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SilentRanksTest : public ::testing::Test {
 protected:
  /// So much later.
  void look(milliseconds later, std::optional<double> written_at) {
    now_ += later;
    ranks_.look([&](int) { return written_at; }, now_);
  }
  milliseconds silence() { return ranks_.silences().at(0).duration; }

  SilentRanks ranks_{{3}, seconds(3)};
  SilentRanks::Clock::time_point now_{};
};

TEST_F(SilentRanksTest, AreThoseWhoseRecordStaysTheSame) {
  look(seconds(3), 1.0);
  look(seconds(3), 2.0);
  EXPECT_EQ(silence(), seconds(0));
  for (int i = 0; i < 10; ++i) look(seconds(3), 2.0);
  EXPECT_EQ(silence(), seconds(30));
  look(seconds(3), 1.5) /* its clock was set back */;
  EXPECT_EQ(silence(), seconds(0)) << "it lives";
}

TEST_F(SilentRanksTest, AreNotThoseThatEndedInOrder) {
  look(seconds(3), 1.0);
  look(seconds(3), 2.0);
  look(seconds(3), 2.0);
  look(seconds(3), std::nullopt);
  look(seconds(3), std::nullopt);
  EXPECT_EQ(silence(), seconds(0));
}

TEST_F(SilentRanksTest, AreNotThoseThatWereNeverHeard) {
  for (int i = 0; i < 10; ++i) look(seconds(3), 1.0);  // a record of an earlier time
  EXPECT_EQ(silence(), seconds(0));
}

TEST_F(SilentRanksTest, AreNotAllOthersWhereTheOwnDiskDidNotAnswer) {
  look(seconds(3), 1.0);
  look(seconds(3), 2.0);
  look(std::chrono::hours(1), 2.0);  // before the others' next record could be written
  EXPECT_LE(silence(), seconds(6));
}

TEST_F(SilentRanksTest, AreLookedForNowAndThen) {
  int num_looks = 0;
  for (int i = 0; i < 9; ++i)
    ranks_.look([&](int) { return ++num_looks, std::optional(0.0); }, now_ + seconds(i));
  EXPECT_EQ(num_looks, 3);
}

TEST(SilentRanks, AreLookedForByOneRankOfEachHost) {
  testing::run_ranks(5,
                     [](Communicator& world) {
                       const std::vector<int> found = SilentRanks::to_look_at(world);
                       if (world.rank() == 0)
                         EXPECT_THAT(found, ElementsAre(2, 4));
                       else if (world.rank() == 2 || world.rank() == 4)
                         EXPECT_THAT(found, ElementsAre(0));
                       else
                         EXPECT_THAT(found, IsEmpty());
                     },
                     {"a", "a", "b", "b", "c"});
}

}  // namespace
}  // namespace triga
