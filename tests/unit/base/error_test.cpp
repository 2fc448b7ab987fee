#include "triga/error.h"

#include <gtest/gtest.h>

namespace triga {
namespace {

TEST(Check, SaysConditionPlaceAndValues) {
  try {
    TRIGA_CHECK(1 > 2, "stage ", 3, " has no layers");
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kInternal);
    const std::string text = error.what();
    EXPECT_NE(text.find("stage 3 has no layers"), std::string::npos) << text;
    EXPECT_NE(text.find("1 > 2"), std::string::npos) << text;
    EXPECT_NE(text.find("error_test.cpp"), std::string::npos) << text;
  }
}

TEST(Check, DoesNotEvaluateItsMessageWhenItHolds) {
  int num_evaluated = 0;
  TRIGA_CHECK(true, ++num_evaluated);
  EXPECT_EQ(num_evaluated, 0);
}

}  // namespace
}  // namespace triga
