#include "comm/host_board.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <ctime>

namespace triga {
namespace {

constexpr int kLooks =
    2000;  // about 20 us: longer than the way of a cache line, shorter than a sleep
constexpr size_t kOpenings = 3;  // of a rank and stream
constexpr size_t kLine = 64;     // bytes of a cache line

size_t round_up(size_t bytes) {
  return (bytes + kLine - 1) / kLine * kLine;
}

int num_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
}

void sleep_while(std::atomic<uint32_t>& word, uint32_t value, std::chrono::microseconds longest) {
  timespec timeout{};
  timeout.tv_sec = longest.count() / 1'000'000;
  timeout.tv_nsec = longest.count() % 1'000'000 * 1000;
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, value, &timeout, nullptr, 0);
}

/// Tells the processor that this thread only looks.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void wake_all(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

// All atomics, all zero at the start.
struct alignas(kLine) HostBoard::Stream {
  std::atomic<uint32_t> num_wakes;  // what sleepers sleep on
  std::atomic<uint32_t> num_sleepers;
};
struct alignas(kLine) HostBoard::Place {
  std::atomic<uint64_t> arrivals;
  std::atomic<int32_t> waits_for;  // a rank of this host, counted from 1; 0: none
};

std::shared_ptr<HostBoard> HostBoard::create(int num_ranks, int rank) {
  auto segment = SharedSegment::create(bytes_for(num_ranks));
  return std::shared_ptr<HostBoard>(new HostBoard(std::move(segment), num_ranks, rank));
}

std::shared_ptr<HostBoard> HostBoard::open(const std::string& address, int num_ranks, int rank) {
  auto segment = SharedSegment::open(address, bytes_for(num_ranks));
  return std::shared_ptr<HostBoard>(new HostBoard(std::move(segment), num_ranks, rank));
}

HostBoard::HostBoard(std::shared_ptr<SharedSegment> segment, int num_ranks, int rank)
    : segment_(std::move(segment)),
      num_ranks_(num_ranks),
      rank_(rank),
      num_looks_(num_ranks <= num_cores() ? kLooks : 0) {}

// Two streams; then by stream and rank: the place, and the openings.
size_t HostBoard::bytes_for(int num_ranks) {
  return 2 * sizeof(Stream) +
         2 * static_cast<size_t>(num_ranks) * (sizeof(Place) + kOpenings * round_up(kOpeningBytes));
}

HostBoard::Stream& HostBoard::stream(ProgressStream stream) const {
  return reinterpret_cast<Stream*>(segment_->data())[static_cast<int>(stream)];
}

HostBoard::Place& HostBoard::place(ProgressStream stream, int rank) const {
  auto* places = reinterpret_cast<Place*>(segment_->data() + 2 * sizeof(Stream));
  return places[static_cast<int>(stream) * num_ranks_ + rank];
}

OpeningView HostBoard::opening(ProgressStream stream, int rank, size_t which) const {
  const size_t places = 2 * sizeof(Stream) + 2 * static_cast<size_t>(num_ranks_) * sizeof(Place);
  const size_t of_rank =
      static_cast<size_t>(stream) * static_cast<size_t>(num_ranks_) + static_cast<size_t>(rank);
  const size_t offset = places + (of_rank * kOpenings + which) * round_up(kOpeningBytes);
  return OpeningView({segment_->data() + offset, kOpeningBytes, segment_});
}

OpeningView HostBoard::mine(ProgressStream stream) {
  return opening(stream, rank_, (arrivals_[static_cast<int>(stream)] + 1) % 2);
}

OpeningView HostBoard::of(ProgressStream stream, int rank) {
  return opening(stream, rank, arrivals_[static_cast<int>(stream)] % 2);
}

void HostBoard::wait_for_message(ProgressStream stream, int peer, const Operation& operation) {
  std::atomic<int32_t>& waits_for = place(stream, rank_).waits_for;
  waits_for.store(0);
  if (peer < 0) return;
  opening(stream, rank_, 2).write(operation, {});
  waits_for.store(peer + 1);
}

std::optional<Opening> HostBoard::waits_for_me(ProgressStream stream, int rank) const {
  if (place(stream, rank).waits_for.load() != rank_ + 1) return std::nullopt;
  return opening(stream, rank, 2).header();
}

void HostBoard::arrive(ProgressStream which) {
  place(which, rank_).arrivals.store(++arrivals_[static_cast<int>(which)]);
  // A sleeper that was not counted yet looks once more after it has counted itself.
  Stream& all = stream(which);
  if (all.num_sleepers.load() == 0) return;
  all.num_wakes.fetch_add(1);
  wake_all(all.num_wakes);
}

bool HostBoard::has_arrived(ProgressStream stream, int rank) const {
  return place(stream, rank).arrivals.load() >= arrivals_[static_cast<int>(stream)];
}

bool HostBoard::have_all_arrived(ProgressStream stream) const {
  for (int rank = 0; rank < num_ranks_; ++rank)
    if (!has_arrived(stream, rank)) return false;
  return true;
}

void HostBoard::wait_for_arrivals(ProgressStream which, std::chrono::microseconds longest) {
  for (int i = 0; i < num_looks_; ++i) {
    if (have_all_arrived(which)) return;
    pause();
  }
  Stream& all = stream(which);
  const uint32_t num_wakes = all.num_wakes.load();
  all.num_sleepers.fetch_add(1);
  if (!have_all_arrived(which)) sleep_while(all.num_wakes, num_wakes, longest);
  all.num_sleepers.fetch_sub(1);
}

}  // namespace triga
