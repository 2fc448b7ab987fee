#include "comm/shared_buffers.h"

#include "triga/error.h"

namespace triga {
namespace {
constexpr int kOffsetBits = 44;  // buffers of up to 16 TB
}  // namespace

void SharedBuffers::add(std::vector<std::shared_ptr<SharedSegment>> segments, size_t own) {
  std::lock_guard lock(mutex_);
  buffers_.push_back({std::move(segments), own});
}

std::optional<std::pair<size_t, size_t>> SharedBuffers::find(const Bytes& bytes) const {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const SharedSegment& own = *buffers_[i].segments[buffers_[i].own];
    if (bytes.data < own.data() || bytes.data + bytes.size > own.data() + own.size()) continue;
    return std::pair(i, static_cast<size_t>(bytes.data - own.data()));
  }
  return std::nullopt;
}

uint64_t SharedBuffers::place_of(const Bytes& bytes) const {
  if (bytes.size == 0) return 0;
  std::lock_guard lock(mutex_);
  const auto found = find(bytes);
  return found ? (uint64_t{found->first + 1} << kOffsetBits) + found->second : 0;
}

SharedRange SharedBuffers::range_of(const Bytes& bytes) const {
  std::lock_guard lock(mutex_);
  const auto found = find(bytes);
  TRIGA_CHECK(found, "memory that is not shared");
  SharedRange range;
  for (const auto& segment : buffers_[found->first].segments)
    range.of_rank.push_back(segment->data() + found->second);
  return range;
}

}  // namespace triga
