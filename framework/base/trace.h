// Trace: what the threads of a rank do when, for `triga train --profile N`: spans that are kept
// while it records, and cost next to nothing while it does not.
//
//   const TraceSpan span(trace, TraceKind::kForward, "h.0");
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace triga {

enum class TraceKind {
  kStep,  // a whole training step; the spans below lie inside
  kData,  // waiting for the loader
  kForward,
  kBackward,
  kOptimizer,      // norm and update
  kWait,           // the computing thread waits for communication: what could not be hidden
  kCommunication,  // an operation in the communication thread
  kMetrics,
  kEvaluate,
  kCheckpoint
};
std::string_view word(TraceKind kind);

struct TraceEvent {
  TraceKind kind;
  std::string name;
  int64_t begin_ns, end_ns;  // since 1970, so that ranks of several hosts fit together
  int thread;                // of the process, counted from 0 in the order of their first events
};

/// Threads: any thread may call, several at once.
class Trace {
 public:
  void record(bool on) { is_recording_ = on; }
  bool is_recording() const { return is_recording_.load(std::memory_order_relaxed); }
  void add(TraceKind kind, std::string_view name, int64_t begin_ns, int64_t end_ns);
  std::vector<TraceEvent> take();
  static int64_t now_ns();

  // Waits of the computing thread (kWait) are added up always. Spans of them may lie in each other.

  void begin_wait();
  void end_wait();
  /// How long it waited in all, for communication that could not be hidden.
  int64_t waited_ns() const { return waited_ns_.load(std::memory_order_relaxed); }
  bool is_waiting() const { return num_waits_.load(std::memory_order_relaxed) > 0; }

 private:
  std::atomic<bool> is_recording_{false};
  std::atomic<int> num_waits_{0};  // under way
  std::atomic<int64_t> wait_began_ns_{0}, waited_ns_{0};
  std::mutex mutex_;
  std::vector<TraceEvent> events_;
  std::vector<uint64_t> threads_;  // by number
};

/// A span from its construction to its destruction. `trace` may be null; `name` must outlive it.
class TraceSpan {
 public:
  TraceSpan(Trace* trace, TraceKind kind, std::string_view name)
      : waiting_(kind == TraceKind::kWait ? trace : nullptr),
        trace_(trace != nullptr && trace->is_recording() ? trace : nullptr),
        kind_(kind),
        name_(name),
        begin_ns_(trace_ == nullptr ? 0 : Trace::now_ns()) {
    if (waiting_ != nullptr) waiting_->begin_wait();
  }
  ~TraceSpan() {
    if (waiting_ != nullptr) waiting_->end_wait();
    if (trace_ != nullptr) trace_->add(kind_, name_, begin_ns_, Trace::now_ns());
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  Trace *waiting_, *trace_;
  TraceKind kind_;
  std::string_view name_;
  int64_t begin_ns_;
};

}  // namespace triga
