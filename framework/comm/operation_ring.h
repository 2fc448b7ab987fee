// OperationRing: the last operations of one kind that a rank has begun, under their numbers, in
// memory that others read while the rank writes. With each stands a digest of what is compared of
// it and of all before it, so that one look tells whether two ranks did the same up to there.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/hash.h"
#include "comm/opening.h"

namespace triga {

/// A view. Threads: one at a time adds, one at a time ends; any, also of other processes, reads
/// meanwhile.
class OperationRing {
 public:
  static constexpr size_t kAlignment = 64;  // bytes of a cache line

  struct Entry {
    Opening opening;
    uint64_t before, digest;  // of all before it; with it
  };
  struct Difference {
    uint64_t number;
    Opening own, theirs;
  };

  static size_t bytes_for(uint64_t capacity) { return sizeof(Counts) + capacity * sizeof(Slot); }

  /// `memory`: bytes_for(capacity), zeroed at the start, aligned.
  OperationRing(std::byte* memory, uint64_t capacity)
      : counts_(reinterpret_cast<Counts*>(memory)),
        slots_(reinterpret_cast<Slot*>(memory + sizeof(Counts))),
        capacity_(capacity) {}

  uint64_t num_begun() const { return counts_->num_begun.load(std::memory_order_acquire); }

  /// Its number, from 1. `digest`: of what is compared of it.
  uint64_t add(const Opening& opening, uint64_t digest) noexcept {
    const uint64_t number = counts_->num_begun.load(std::memory_order_relaxed) + 1;
    const uint64_t before = counts_->digest.load(std::memory_order_relaxed);
    digest = join(before, digest);
    counts_->digest.store(digest, std::memory_order_relaxed);
    std::array<uint64_t, kWords> words;
    std::memcpy(words.data(), &opening, sizeof(opening));
    Slot& slot = slot_of(number);
    slot.number.store(0, std::memory_order_relaxed);
    slot.before.store(before, std::memory_order_release);  // keeps the 0 before it
    slot.digest.store(digest, std::memory_order_release);
    for (size_t i = 0; i < kWords; ++i) slot.words[i].store(words[i], std::memory_order_release);
    slot.number.store(number, std::memory_order_release);
    counts_->num_begun.store(number, std::memory_order_release);
    return number;
  }

  /// That one and all before it have ended.
  void end(uint64_t number) noexcept {
    counts_->num_ended.store(number, std::memory_order_relaxed);
  }

  /// The first that has not ended and is still kept, else the last one; 0: none was begun.
  uint64_t current() const {
    const uint64_t last = num_begun(), gone = last - std::min(last, capacity_);
    const uint64_t num_ended = counts_->num_ended.load(std::memory_order_relaxed);
    return std::min(last, std::max(num_ended, gone) + 1);
  }

  /// Nothing where it was written over, or is being written.
  std::optional<Entry> read(uint64_t number) const {
    if (number == 0) return std::nullopt;
    const Slot& slot = slot_of(number);
    if (slot.number.load(std::memory_order_acquire) != number) return std::nullopt;
    Entry entry;
    entry.before = slot.before.load(std::memory_order_acquire);
    entry.digest = slot.digest.load(std::memory_order_acquire);
    std::array<uint64_t, kWords> words;
    for (size_t i = 0; i < kWords; ++i) words[i] = slot.words[i].load(std::memory_order_acquire);
    if (slot.number.load(std::memory_order_relaxed) != number) return std::nullopt;
    std::memcpy(&entry.opening, words.data(), sizeof(entry.opening));
    return entry;
  }

  /// The first number after `compared` under which the two do not agree; moves `compared` to the
  /// last one before it.
  template <class Agree>
  std::optional<Difference> compare(const OperationRing& other, uint64_t& compared,
                                    Agree agree) const {
    const uint64_t mine = num_begun(), theirs = other.num_begun();
    const uint64_t ahead = std::max(mine, theirs), last = std::min(mine, theirs);
    const uint64_t gone = ahead - std::min(ahead, capacity_);
    for (uint64_t number = std::max(compared, gone) + 1; number <= last; ++number) {
      const auto one = read(number), another = other.read(number);
      if (one && another && !agree(one->opening, another->opening))
        return Difference{number, one->opening, another->opening};
      compared = number;
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kWords = sizeof(Opening) / sizeof(uint64_t);
  static_assert(std::atomic<uint64_t>::is_always_lock_free);  // between processes
  static_assert(sizeof(Opening) % sizeof(uint64_t) == 0);

  // All atomics, all zero at the start.
  struct alignas(kAlignment) Counts {
    std::atomic<uint64_t> num_begun, num_ended, digest;
  };
  struct alignas(kAlignment) Slot {
    std::atomic<uint64_t> number;  // 0: being written
    std::atomic<uint64_t> before, digest;
    std::array<std::atomic<uint64_t>, kWords> words;
  };

  static uint64_t join(uint64_t before, uint64_t digest) {
    return hash(std::array<uint64_t, 2>{before, digest});
  }
  Slot& slot_of(uint64_t number) const { return slots_[(number - 1) % capacity_]; }

  Counts* counts_;
  Slot* slots_;
  uint64_t capacity_;
};

}  // namespace triga
