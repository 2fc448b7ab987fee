#include "base/host_buffers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"

namespace triga {
namespace {

TEST(HostBuffers, AreTheSameMemoryUnderTheSameName) {
  HostBuffers buffers;
  const at::Tensor first = buffers.take("a", {3, 2}, at::kFloat);
  const at::Tensor other = buffers.take("b", {3, 2}, at::kFloat);
  EXPECT_EQ(first.sizes(), at::IntArrayRef({3, 2}));
  EXPECT_NE(first.const_data_ptr(), other.const_data_ptr());
  EXPECT_EQ(buffers.take("a", {6}, at::kFloat).const_data_ptr(), first.const_data_ptr());
  EXPECT_EQ(buffers.num_bytes(), 48);
  const at::Tensor longer = buffers.take("a", {7}, at::kFloat);
  EXPECT_EQ(longer.numel(), 7);
  EXPECT_EQ(buffers.take("a", {7}, at::kDouble).scalar_type(), at::kDouble);
  EXPECT_EQ(buffers.num_bytes(), 24 + 56);
  EXPECT_EQ(buffers.take("empty", {0, 4}, at::kFloat).numel(), 0);
}

TEST(HostBuffers, BeginWithAPage) {
  HostBuffers buffers;
  for (const int64_t numel : {1, 3, 100000})
    for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble, at::kBool}) {
      const at::Tensor buffer = buffers.take("a", {numel}, type);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.const_data_ptr()) % kDirectAlignment, 0u);
      EXPECT_EQ(buffer.numel(), numel);
      EXPECT_EQ(buffer.scalar_type(), type);
    }
}

TEST(HostBuffers, KeepWhatTheTensorWas) {
  HostBuffers buffers;
  at::Tensor live = at::arange(6, at::kFloat).view({2, 3});
  const at::Tensor kept = buffers.keep("x", live.t());  // not contiguous
  live.zero_();
  EXPECT_TRUE(kept.equal(at::arange(6, at::kFloat).view({2, 3}).t()));
  EXPECT_TRUE(kept.is_contiguous());
  const at::Tensor again = buffers.keep("x", at::ones({3, 2}));
  EXPECT_EQ(again.const_data_ptr(), kept.const_data_ptr());
  EXPECT_TRUE(kept.equal(at::ones({3, 2})));
}

TEST(HostBuffers, DoNotCopyWhatLiesThereAlready) {
  HostBuffers buffers;
  const at::Tensor whole = buffers.take("bucket", {10}, at::kFloat);
  const at::Tensor part = whole.narrow(0, 4, 6).view({2, 3});
  EXPECT_EQ(buffers.keep("part", part).const_data_ptr(), part.const_data_ptr());
  EXPECT_EQ(buffers.num_bytes(), 40);
}

}  // namespace
}  // namespace triga
