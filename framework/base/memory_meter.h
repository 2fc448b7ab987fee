// MemoryMeter: how many bytes tensors of this process take, by counting in the allocator that
// LibTorch takes them from, and in memory shared with other ranks.
#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <cstdint>

namespace triga {

struct MemoryUse {
  int64_t now_bytes = 0;
  int64_t peak_bytes = 0;
};

/// LibTorch has one allocator of CPU memory a process, so the meter is one a process as well.
/// Threads: any thread may call.
class MemoryMeter {
 public:
  /// From now on LibTorch's allocations are counted. Calling it again is harmless.
  static void install();
  /// Of memory that does not come from LibTorch's allocator; negative when it is given back.
  static void add(int64_t bytes);
  static MemoryUse use();
  /// On any device; elsewhere than on the CPU by its allocator's own count.
  static MemoryUse use(c10::Device device);
  /// The peak begins anew, from what is taken now.
  static void reset_peak(c10::Device device);
};

}  // namespace triga
