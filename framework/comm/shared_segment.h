// SharedSegment: memory that several processes of a host map. It is a memory file without a name
// (memfd), so nothing is left behind however a run ends, and the size of /dev/shm, which is 64 MB
// in many containers, does not limit it: only the memory of the host, or of its control group,
// does.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace triga {

class SharedSegment {
 public:
  /// Zeroed memory of this process; pages are taken when they are written. Throws: CommError when
  /// the system allows no memory files.
  static std::shared_ptr<SharedSegment> create(size_t bytes);
  /// Maps the segment that another process of the same user on this host made, while that process
  /// lives. Throws: CommError when the system does not allow it.
  static std::shared_ptr<SharedSegment> open(const std::string& address, size_t bytes);

  ~SharedSegment();
  SharedSegment(const SharedSegment&) = delete;
  SharedSegment& operator=(const SharedSegment&) = delete;

  /// For open() elsewhere.
  std::string address() const;
  std::byte* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  SharedSegment(int file, size_t bytes);

  int file_;
  size_t bytes_;
  bool is_own_ = false;  // counted by the process that made it
  std::byte* data_ = nullptr;
};

/// Memory that this process can still get: free memory of the host, less if its control group
/// (version 1 or 2) is limited further.
size_t available_memory_bytes();

}  // namespace triga
