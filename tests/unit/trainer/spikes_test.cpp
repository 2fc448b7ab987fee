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

TEST(Spike, IsOnePercentAboveTheMeanHoweverLittleTheOthersDiffer) {
  const SpikesConfig config{.window = 8, .place = {}};
  TrainingState state;
  for (int i = 0; i < 8; ++i) remember_loss(2 + (i % 2 == 0 ? 1e-5 : -1e-5), config, state);
  EXPECT_GT(z_score(2.001, state.losses), config.z_score);
  EXPECT_EQ(spike_in_words(2.001, config, state), "") << "a plateau";
  EXPECT_EQ(spike_in_words(2.0199, config, state), "");
  EXPECT_NE(spike_in_words(2.0201, config, state), "");
  state.losses.assign(8, -2);  // a likelihood of densities
  EXPECT_EQ(spike_in_words(-1.99, config, state), "");
  EXPECT_NE(spike_in_words(-1.97, config, state), "");
}

TEST(Spike, IsNotJudgedOnAStepOfLessThanHalfAsMuchAsUsual) {
  EXPECT_TRUE(is_too_short(1, 32));
  EXPECT_TRUE(is_too_short(15, 32));
  EXPECT_FALSE(is_too_short(16, 32));
  EXPECT_FALSE(is_too_short(1, 1));
}

TEST(Rollbacks, CountWhileNoCheckpointHoldsAWindowOfGoodSteps) {
  const SpikesConfig config{.window = 8, .max_rollbacks = 2, .place = {}};
  TrainingState state;
  state.rollbacks = 1;
  EXPECT_TRUE(may_go_back(config, state));
  for (int i = 0; i < 7; ++i) remember_loss(2, config, state);
  settle_rollbacks(config, state);
  EXPECT_EQ(state.settled_rollbacks, 0) << "a save too early";
  state.rollbacks = 2;
  EXPECT_FALSE(may_go_back(config, state));
  remember_loss(2, config, state);
  EXPECT_FALSE(may_go_back(config, state)) << "no checkpoint says so yet";
  settle_rollbacks(config, state);
  EXPECT_EQ(state.settled_rollbacks, 2);
  EXPECT_TRUE(may_go_back(config, state));
  state.rollbacks = 4;
  EXPECT_FALSE(may_go_back(config, state));
  EXPECT_FALSE(may_go_back({.max_rollbacks = 0, .place = {}}, TrainingState()));
}

TEST(Spike, IsComparedWithTheNewestLosses) {
  const SpikesConfig config{.window = 3, .place = {}};
  TrainingState state;
  for (int i = 1; i <= 5; ++i) remember_loss(i, config, state);
  EXPECT_EQ(state.losses, (std::vector<double>{3, 4, 5}));
}

}  // namespace
}  // namespace triga
