#include "base/foreign_errors.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <new>

#include "triga/error.h"

namespace triga {
namespace {

using ::testing::HasSubstr;

/// What becomes of what `action` throws.
std::pair<ExitStatus, std::string> outcome_of(const std::function<void()>& action) {
  try {
    try {
      action();
    } catch (...) {
      rethrow_as_error();
    }
  } catch (const Error& error) {
    return {error.status(), error.what()};
  }
  return {ExitStatus::kDone, ""};
}

TEST(ForeignErrors, OfOursGoOnAsTheyAre) {
  const auto [status, text] = outcome_of([] { throw DataError("torn"); });
  EXPECT_EQ(status, ExitStatus::kData);
  EXPECT_EQ(text, "torn");
}

TEST(ForeignErrors, MemoryThatIsRefusedHasItsStatusWhoeverAskedForIt) {
  EXPECT_EQ(outcome_of([] { throw std::bad_alloc(); }).first, ExitStatus::kOutOfMemory);
  const auto [status, text] = outcome_of([] { at::empty({int64_t{1} << 58}, at::kByte); });
  EXPECT_EQ(status, ExitStatus::kOutOfMemory) << text;
  EXPECT_THAT(text, HasSubstr("out of memory"));
}

TEST(ForeignErrors, OthersAreInternal) {
  EXPECT_EQ(outcome_of([] { TORCH_CHECK(false, "shapes"); }),
            std::pair(ExitStatus::kInternal, std::string("shapes")));
  EXPECT_EQ(outcome_of([] { throw std::runtime_error("odd"); }),
            std::pair(ExitStatus::kInternal, std::string("odd")));
}

}  // namespace
}  // namespace triga
