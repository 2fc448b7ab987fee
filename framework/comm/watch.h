// Watch: how the operations of one stream of a group wait, and how they end when they cannot. While
// it waits, a rank looks every 50 ms whether the run has failed (progress_table.h), whether the
// deadline has passed, and whether the operation was given up. The deadline bounds how long somebody
// waits: what a communication thread does while its rank computes has all the time. Where it is
// long, because ranks read or write large files, a rank that is stopped by a signal, or one of
// another host that gives no sign of life, is not waited for so long.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "comm/group.h"
#include "comm/opening.h"
#include "comm/progress_table.h"

namespace triga {

/// In a CommError, before a line a rank.
inline constexpr std::string_view kTableOfRanks = " Where every rank was:\n";

/// Where a rank's operations are recorded; null: nowhere.
using TracePointer = std::atomic<Trace*>;

class Watch {
 public:
  Watch(std::shared_ptr<ProgressTable> table, const Group& group, ProgressStream stream,
        std::shared_ptr<TracePointer> trace);

  /// Runs one operation. After it threw, the table goes on saying where this rank was.
  void run(const Operation& operation, const std::string& label, const std::function<void()>& body);

  struct Wait {
    std::function<bool()> is_done;
    /// Who is waited for, in words.
    std::function<std::string()> missing;
    /// Between two looks at `is_done`; 50 ms at most. Null: it offers the core to others at first,
    /// then it sleeps.
    std::function<void()> pause;
    /// Called about every 50 ms; may call fail(). Null: nothing.
    std::function<void()> look;
  };
  /// Throws: CommError.
  void wait(const Wait& what);

  /// How many threads wait for operations of this stream; while none does, no deadline runs. Without
  /// it, whoever runs an operation waits for it.
  using Waiters = std::shared_ptr<const std::atomic<int>>;
  void set_waiters(Waiters waiters) { waiters_ = std::move(waiters); }

  /// Ends the run with this diagnosis, and tells the others.
  [[noreturn]] void fail(const std::string& diagnosis);

  /// The operation that runs (maybe in another thread), and any later one, ends with a CommError.
  void cancel() { cancelled_ = true; }
  /// Is an operation so long past its deadline that the fabric itself must be stuck? For a caller
  /// in another thread.
  bool is_stuck() const;

  const Operation& operation() const { return operation_; }
  /// Rank of the group, for messages.
  std::string whereabouts(int rank) const;
  std::string name_of(int rank) const;

 private:
  using Clock = std::chrono::steady_clock;
  void look_around(const Wait& what);
  void look_for_stopped_ranks(const Wait& what);
  void look_for_silent_ranks(const Wait& what);
  [[noreturn]] void give_up(const Wait& what, std::chrono::milliseconds after);

  const std::shared_ptr<ProgressTable> table_;
  const Group& group_;
  const ProgressStream stream_;
  const std::shared_ptr<TracePointer> trace_;
  Waiters waiters_;
  std::atomic<bool> cancelled_{false};
  std::atomic<Clock::time_point> deadline_{Clock::time_point::max()};  // of the operation that runs
  Clock::time_point stopped_since_ = Clock::time_point::max();  // a rank that it may wait for
  std::string label_;
  Operation operation_;
};

}  // namespace triga
