// When a loss is a spike. What a run makes of it: tests/end_to_end/spikes_test.py.
#include "trainer/spikes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

using ::testing::HasSubstr;

TEST(ZScore, CountsStandardDeviationsAboveTheMean) {
  const std::vector<double> losses = {1, 3, 1, 3};  // mean 2, deviation 1
  EXPECT_DOUBLE_EQ(z_score(5, losses), 3);
  EXPECT_DOUBLE_EQ(z_score(2, losses), 0);
  EXPECT_DOUBLE_EQ(z_score(-1, losses), -3);
}

TEST(ZScore, OfLossesThatDoNotDifferIsFinite) {
  EXPECT_LT(z_score(2 + 1e-7, {2, 2, 2}), 1);
  EXPECT_GT(z_score(2.1, {2, 2, 2}), 1000);
  EXPECT_EQ(z_score(0, {0, 0}), 0);
}

TEST(Spike, NeedsAFullWindow) {
  const SpikesConfig config{.window = 4, .z_score = 3, .place = {}};
  TrainingState state;
  for (const double loss : {1.0, 3.0, 1.0}) {
    EXPECT_EQ(spike_in_words(1000, config, state), "");
    remember_loss(loss, config, state);
  }
  EXPECT_EQ(spike_in_words(1000, config, state), "");
  remember_loss(3, config, state);
  EXPECT_EQ(spike_in_words(5, config, state), "") << "just as far as allowed";
  EXPECT_THAT(spike_in_words(6, config, state),
              HasSubstr("the loss 6.0000 is a spike, 4.0 standard deviations above the mean of the "
                        "4 before it"));
  EXPECT_EQ(spike_in_words(-100, config, state), "") << "a low loss is none";
}

TEST(Spike, IsComparedWithTheNewestLosses) {
  const SpikesConfig config{.window = 3, .place = {}};
  TrainingState state;
  for (int i = 1; i <= 5; ++i) remember_loss(i, config, state);
  EXPECT_EQ(state.losses, (std::vector<double>{3, 4, 5}));
}

}  // namespace
}  // namespace triga
