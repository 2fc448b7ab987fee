#include "base/trace.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace triga {

std::string_view word(TraceKind kind) {
  switch (kind) {
    case TraceKind::kStep:
      return "step";
    case TraceKind::kData:
      return "data wait";
    case TraceKind::kForward:
      return "forward";
    case TraceKind::kBackward:
      return "backward";
    case TraceKind::kOptimizer:
      return "optimizer";
    case TraceKind::kWait:
      return "communication wait";
    case TraceKind::kCommunication:
      return "communication";
    case TraceKind::kMetrics:
      return "metrics";
    case TraceKind::kEvaluate:
      return "evaluation";
    case TraceKind::kCheckpoint:
      return "checkpoint";
  }
  return "unknown";
}

int64_t Trace::now_ns() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void Trace::add(TraceKind kind, std::string_view name, int64_t begin_ns, int64_t end_ns) {
  const auto thread = static_cast<uint64_t>(pthread_self());
  std::lock_guard lock(mutex_);
  auto known = std::find(threads_.begin(), threads_.end(), thread);
  if (known == threads_.end()) known = threads_.insert(known, thread);
  events_.push_back(
      {kind, std::string(name), begin_ns, end_ns, static_cast<int>(known - threads_.begin())});
}

void Trace::begin_wait() {
  if (num_waits_++ == 0) wait_began_ns_ = now_ns();
}

void Trace::end_wait() {
  if (--num_waits_ == 0) waited_ns_ += now_ns() - wait_began_ns_;
}

std::vector<TraceEvent> Trace::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

}  // namespace triga
