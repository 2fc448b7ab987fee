#include "base/large_pages.h"

#include <gtest/gtest.h>

namespace triga {
namespace {

TEST(LargePages, AreZerosOfAnySizeAndType) {
  for (const int64_t numel : {int64_t{0}, int64_t{1}, int64_t{1} << 19, (int64_t{3} << 20) + 7})
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kByte}) {
      const at::Tensor tensor = zeros_in_large_pages(numel, type);
      EXPECT_EQ(tensor.numel(), numel);
      EXPECT_EQ(tensor.scalar_type(), type);
      EXPECT_EQ(tensor.count_nonzero().item<int64_t>(), 0);
    }
}

TEST(LargePages, AskForNothingOutsideOfTheRange) {
  std::vector<char> small(100, 'x');
  ask_for_large_pages(small.data(), small.size());
  EXPECT_EQ(std::string(small.begin(), small.end()), std::string(100, 'x'));
}

}  // namespace
}  // namespace triga
