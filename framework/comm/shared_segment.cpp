#include "comm/shared_segment.h"

#include <c10/util/StringUtil.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/control_group.h"
#include "base/memory_meter.h"
#include "triga/error.h"

namespace triga {
namespace {

CommError system_error(std::string_view what) {
  return CommError(c10::str("cannot share memory with the other ranks of this host: ", what, ": ",
                            std::strerror(errno)));
}

size_t value_in(const std::string& file, const std::string& key, size_t otherwise) {
  std::ifstream stream(file);
  std::string word;
  size_t value = 0;
  while (stream >> word)
    if (word == key && stream >> value) return value;
  return otherwise;
}

size_t number_in(const std::string& file) {
  std::ifstream stream(file);
  size_t value = 0;
  return stream >> value ? value : std::numeric_limits<size_t>::max();  // also for "max"
}

/// What a control group still gives. Pages of files that nobody uses are given back when needed.
size_t left_in_group(const std::string& folder, const char* limit, const char* usage,
                     const char* reclaimable) {
  const size_t most = number_in(folder + limit), used = number_in(folder + usage);
  if (most == std::numeric_limits<size_t>::max() || used == most) return most;
  const size_t kept = used - std::min(used, value_in(folder + "memory.stat", reclaimable, 0));
  return most - std::min(most, kept);
}

}  // namespace

size_t available_memory_bytes() {
  size_t left = value_in("/proc/meminfo", "MemAvailable:", 0) * 1024;
  const ControlGroups groups = control_groups("memory");
  for (const std::string& folder : groups.version2)
    left = std::min(left, left_in_group(folder, "memory.max", "memory.current", "inactive_file"));
  for (const std::string& folder : groups.version1)
    left = std::min(left, left_in_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                        "total_inactive_file"));
  return left;
}

std::shared_ptr<SharedSegment> SharedSegment::create(size_t bytes) {
  const int file = memfd_create("triga", MFD_CLOEXEC);
  if (file < 0) throw system_error("memfd_create");
  if (ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    const auto error = system_error("ftruncate");
    close(file);
    throw error;
  }
  std::shared_ptr<SharedSegment> segment(new SharedSegment(file, bytes));
  segment->is_own_ = true;
  MemoryMeter::add(static_cast<int64_t>(bytes));
  return segment;
}

std::shared_ptr<SharedSegment> SharedSegment::open(const std::string& address, size_t bytes) {
  const int file = ::open(address.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) throw system_error(address);
  return std::shared_ptr<SharedSegment>(new SharedSegment(file, bytes));
}

SharedSegment::SharedSegment(int file, size_t bytes) : file_(file), bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) {
    const auto error = system_error("mmap");
    close(file);
    throw error;
  }
  data_ = static_cast<std::byte*>(memory);
  // Fewer page faults and misses where the system has huge pages for shared memory; else ignored.
  madvise(memory, bytes, MADV_HUGEPAGE);
}

SharedSegment::~SharedSegment() {
  if (is_own_) MemoryMeter::add(-static_cast<int64_t>(bytes_));
  if (data_ != nullptr) munmap(data_, bytes_);
  close(file_);
}

std::string SharedSegment::address() const {
  return c10::str("/proc/", getpid(), "/fd/", file_);
}

}  // namespace triga
