#include "trainer/grace_period.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(GracePeriodTest, SaysWhenTwoStepsAndASaveDoNotFit) {
  GracePeriod grace(GracePeriod::Signal::kBeforeTheEnd, 60);
  grace.step_took(20);
  EXPECT_EQ(grace.take_warning(), "") << "no save was measured";
  grace.save_took(19, false);
  EXPECT_EQ(grace.take_warning(), "");
  grace.save_took(25, false);
  EXPECT_THAT(grace.take_warning(),
              AllOf(HasSubstr("has 60 s from a signal to its end, and may need 65.0 s"),
                    HasSubstr("two steps of 20.0 s, a save of 25.0 s"),
                    HasSubstr("launch.save_before_seconds: 90 ")));
  grace.save_took(30, false);
  EXPECT_EQ(grace.take_warning(), "") << "it was said";
  grace.step_took(30);
  EXPECT_THAT(grace.take_warning(), HasSubstr("may need 90.0 s"));
}

TEST(GracePeriodTest, ASaveInTheBackgroundMayBeUnderWay) {
  GracePeriod grace(GracePeriod::Signal::kBeforeTheEnd, 60);
  grace.step_took(1);
  grace.save_took(35, true);
  EXPECT_THAT(grace.take_warning(), HasSubstr("the save under way and a last one of 35.0 s"));
}

TEST(GracePeriodTest, OfAJobThatIsCancelledIsTheSites) {
  GracePeriod grace(GracePeriod::Signal::kOfTheEnd, 30);
  grace.step_took(1);
  grace.save_took(28, false);
  EXPECT_EQ(grace.take_warning(), "");
  grace.save_took(29, false);
  EXPECT_THAT(grace.take_warning(),
              AllOf(HasSubstr("has 30 s until its ranks are killed"), HasSubstr("need 31.0 s"),
                    HasSubstr("checkpoint.every_minutes")));
}

TEST(GracePeriodTest, IsSilentWhereNobodyKnowsIt) {
  GracePeriod grace(GracePeriod::Signal::kBeforeTheEnd, std::nullopt);
  grace.step_took(1e6);
  grace.save_took(1e6, true);
  EXPECT_EQ(grace.take_warning(), "");
}

}  // namespace
}  // namespace triga
