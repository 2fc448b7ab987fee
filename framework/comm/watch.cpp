#include "comm/watch.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/trace.h"

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr auto kStuckAfter = std::chrono::seconds(2);  // past the deadline

// Waiting costs little processor time, which the computation of this rank and of its neighbours
// needs: a wait of a pipeline lasts as long as a stage computes. Sleeps grow with what was waited
// for so far, so that they add a few percent to it at most.
class Backoff {
 public:
  void pause() {
    if (++num_pauses_ < 100) {
      std::this_thread::yield();
      return;
    }
    const auto waited = std::chrono::steady_clock::now() - start_;
    std::this_thread::sleep_for(
        std::clamp<std::chrono::nanoseconds>(waited / 32, kShortest, kLongest));
  }

 private:
  static constexpr std::chrono::microseconds kShortest{20}, kLongest{500};
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int num_pauses_ = 0;
};

}  // namespace

Watch::Watch(std::shared_ptr<ProgressTable> table, const Group& group, ProgressStream stream,
             std::shared_ptr<TracePointer> trace)
    : table_(std::move(table)), group_(group), stream_(stream), trace_(std::move(trace)) {}

void Watch::run(const Operation& operation, const std::string& label,
                const std::function<void()>& body) {
  // The host channel runs in the computing thread, which waits for it.
  const TraceSpan span(
      trace_->load(),
      stream_ == ProgressStream::kHost ? TraceKind::kWait : TraceKind::kCommunication, label);
  label_ = label;
  operation_ = operation;
  deadline_ = Clock::now() + operation.deadline;
  stopped_since_ = Clock::time_point::max();
  table_->begin_operation(group_.fabric_rank(), stream_, label);
  body();
  table_->end_operation(group_.fabric_rank(), stream_);
  deadline_ = Clock::time_point::max();
}

void Watch::wait(const Wait& what) {
  Backoff backoff;
  auto next_look = Clock::now() + kLookEvery;
  while (!what.is_done()) {
    if (cancelled_)
      throw CommError(c10::str(label_, " was given up: its communicator was destroyed"));
    if (what.pause)
      what.pause();
    else
      backoff.pause();
    if (Clock::now() < next_look) continue;
    look_around(what);
    next_look = Clock::now() + kLookEvery;
  }
}

void Watch::look_around(const Wait& what) {
  if (const auto failure = table_->find_failure(group_.fabric_rank(), group_.ranks)) {
    if (what.is_done()) return;  // what a rank sent before it failed has come meanwhile
    fail(*failure);
  }
  if (what.look) what.look();
  if (waiters_ && *waiters_ == 0) {
    deadline_ = Clock::now() + operation_.deadline;
    stopped_since_ = Clock::time_point::max();
    return;
  }
  if (Clock::now() >= deadline_.load()) give_up(what, operation_.deadline);
  if (operation_.longest_stop < operation_.deadline) {
    look_for_stopped_ranks(what);
    look_for_silent_ranks(what);
  }
}

void Watch::look_for_stopped_ranks(const Wait& what) {
  if (std::none_of(group_.ranks.begin(), group_.ranks.end(),
                   [this](int rank) { return table_->is_stopped(rank); })) {
    stopped_since_ = Clock::time_point::max();
    return;
  }
  const auto now = Clock::now();
  stopped_since_ = std::min(stopped_since_, now);
  if (now - stopped_since_ >= operation_.longest_stop) give_up(what, operation_.longest_stop);
}

void Watch::look_for_silent_ranks(const Wait& what) {
  for (const int rank : group_.ranks) {
    const auto silence = table_->silence(rank);
    if (silence < operation_.longest_stop || silence.count() == 0 || what.is_done()) continue;
    fail(c10::str(label_, " was not done at step ", operation_.step,
                  "; missing: ", table_->name_of(rank), ", without a sign of life for ",
                  silence.count() / 1000, " s in the run's folder"));
  }
}

void Watch::give_up(const Wait& what, std::chrono::milliseconds after) {
  std::string absent = what.missing();
  for (const int rank : group_.ranks)  // a stopped rank may be why the missing ones are late
    if (const auto where = table_->whereabouts(rank);
        table_->is_stopped(rank) && absent.find(where) == std::string::npos)
      absent += "; and " + where;
  fail(c10::str(label_, " was not done at step ", operation_.step, " within ",
                static_cast<double>(after.count()) / 1000.0, " s; missing: ", absent));
}

bool Watch::is_stuck() const {
  const auto deadline = deadline_.load();
  return deadline != Clock::time_point::max() && Clock::now() > deadline + kStuckAfter;
}

void Watch::fail(const std::string& diagnosis) {
  const int rank = group_.fabric_rank();
  table_->mark_failed(rank, diagnosis, ExitStatus::kCommunication);
  throw CommError(c10::str(diagnosis, "\n", table_->name_of(rank), " noticed it at step ",
                           operation_.step, " in ", label_, ".", kTableOfRanks, table_->to_text()));
}

std::string Watch::whereabouts(int rank) const {
  return table_->whereabouts(group_.ranks[static_cast<size_t>(rank)]);
}

std::string Watch::name_of(int rank) const {
  return table_->name_of(group_.ranks[static_cast<size_t>(rank)]);
}

}  // namespace triga
