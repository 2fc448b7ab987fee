#include "base/memory_meter.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <atomic>
#include <cstring>

namespace triga {
namespace {

std::atomic<int64_t> now_bytes{0}, peak_bytes{0};

void free_counted(void* memory) {
  if (memory == nullptr) return;
  MemoryMeter::add(-static_cast<int64_t>(malloc_usable_size(memory)));
  c10::free_cpu(memory);
}

/// LibTorch's own allocation, counted by what the system gave for it.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = bytes == 0 ? nullptr : c10::alloc_cpu(bytes);
    if (memory != nullptr) MemoryMeter::add(static_cast<int64_t>(malloc_usable_size(memory)));
    return {memory, memory, &free_counted, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_counted; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

}  // namespace

void MemoryMeter::install() {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
}

void MemoryMeter::add(int64_t bytes) {
  const int64_t now = now_bytes.fetch_add(bytes) + bytes;
  int64_t peak = peak_bytes.load();
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

MemoryUse MemoryMeter::use() {
  return {now_bytes.load(), peak_bytes.load()};
}

MemoryUse MemoryMeter::use(c10::Device device) {
  if (device.is_cpu()) return use();
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  const auto& bytes =
      stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  return {bytes.current, bytes.peak};
}

void MemoryMeter::reset_peak(c10::Device device) {
  if (device.is_cpu())
    peak_bytes.store(now_bytes.load());
  else
    at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

}  // namespace triga
