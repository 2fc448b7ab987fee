#include "trainer/hang_watch.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/thread_stacks.h"

namespace triga {
namespace {

using std::chrono::milliseconds;

constexpr auto kLookEvery = milliseconds(500);
constexpr auto kLeast = milliseconds(1);
constexpr auto kAhead = milliseconds(5000);    // of the others, at most
constexpr auto kBehind = milliseconds(20000);  // what ends a wait that is too long takes its time

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

HangWatch::HangWatch(const Progress& progress, const Trace& trace, milliseconds timeout,
                     OnHang on_hang)
    : progress_(progress), trace_(trace), timeout_(timeout), on_hang_(std::move(on_hang)) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "triga-hang");
    run();
  });
}

HangWatch::~HangWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

milliseconds HangWatch::limit() const {
  const milliseconds patience = std::max(timeout_, progress_.patience());
  if (!has_begun_ || trace_.is_waiting()) return patience + kBehind;
  return patience - std::min(patience / 20, kAhead);
}

void HangWatch::run() {
  std::unique_lock lock(mutex_);
  int64_t num_moves = progress_.num_moves();
  Clock::duration still{};
  auto looked_at = Clock::now();
  while (true) {
    const auto pause = std::clamp<Clock::duration>(limit() - still, kLeast, kLookEvery);
    if (wake_.wait_for(lock, pause, [this] { return is_stopping_; })) return;
    const auto now = Clock::now();
    // A pause that lasted much longer is one of the whole process.
    still += std::min<Clock::duration>(now - looked_at, pause + kLookEvery);
    looked_at = now;
    if (const int64_t moves = progress_.num_moves(); moves != num_moves) {
      num_moves = moves;
      const std::chrono::nanoseconds age(Trace::now_ns() - progress_.own().moved_ns);
      still = std::clamp<Clock::duration>(age, Clock::duration::zero(), kLookEvery);
    }
    if (still < limit()) continue;
    lock.unlock();
    on_hang_(cause(still), [] { return "What its threads do:\n" + thread_stacks(); });
    return;
  }
}

std::string HangWatch::cause(Clock::duration still) const {
  const std::string what = progress_.own().what;
  const auto patience = progress_.patience();
  return fmt::format("it hangs: nothing moved for {:.1f} s{} ({} {:g} s)", seconds(still),
                     what.empty() ? "" : " in " + what,
                     patience > timeout_ ? "reading and writing files may take"
                                         : "parallel.communication_timeout is",
                     seconds(std::max(timeout_, patience)));
}

}  // namespace triga
