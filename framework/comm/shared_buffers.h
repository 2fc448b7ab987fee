// SharedBuffers: what a communicator allocated: one piece of memory a rank, of the same size on
// all, each mapped by every rank of its host. A collective on such a tensor reads and writes the
// other ranks' memory where it lies.
//
// Threads: any thread may call, several at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "comm/fabric.h"
#include "comm/shared_segment.h"

namespace triga {

/// The same range of a shared buffer in the memory of each rank of this host.
struct SharedRange {
  std::vector<std::byte*> of_rank;  // by rank on the host
};

class SharedBuffers {
 public:
  /// `segments`: of each rank of this host, in their order; that of `own` is this rank's. All ranks
  /// of the group add their buffers in the same order.
  void add(std::vector<std::shared_ptr<SharedSegment>> segments, size_t own);

  /// Says where `bytes` lies in the shared buffers, the same on every rank for the same place in
  /// the same buffer; 0: nowhere.
  uint64_t place_of(const Bytes& bytes) const;
  /// Requires: place_of(bytes) != 0.
  SharedRange range_of(const Bytes& bytes) const;

 private:
  struct Buffer {
    std::vector<std::shared_ptr<SharedSegment>> segments;
    size_t own;
  };
  /// Index of the buffer and offset in it.
  std::optional<std::pair<size_t, size_t>> find(const Bytes& bytes) const;

  mutable std::mutex mutex_;
  std::vector<Buffer> buffers_;
};

}  // namespace triga
