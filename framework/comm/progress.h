// Progress: what this rank tells the other ranks of its host of itself, and what it can say of
// them. It is how a failure is explained: the trainer says what it is doing, main() says why it
// ends, and writes to_text() into failure.txt. And it knows the ledgers of its groups, of which
// ranks of other hosts are to be told.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/progress_table.h"

namespace triga {

class OperationLedger;

/// Threads: any thread may call.
class Progress {
 public:
  Progress(std::shared_ptr<ProgressTable> table, int rank)
      : table_(std::move(table)), rank_(rank) {}

  /// `activity` in words: "evaluation", "saving step-00000500"; empty between such things.
  void report(int64_t step, std::string_view activity) {
    table_->set_step(rank_, step);
    table_->set_activity(rank_, activity);
  }

  int64_t step() const { return table_->step(rank_); }

  void set_activity(std::string_view activity) { table_->set_activity(rank_, activity); }

  /// Where it is in a step; stores to atomics only.
  void set_doing(Doing doing) noexcept { table_->set_doing(rank_, doing); }
  /// It goes on with the same: the next layer.
  void move() noexcept { table_->move(rank_); }
  /// How long it may now be without moving; 0: as long as usual.
  void set_patience(std::chrono::milliseconds patience) { table_->set_patience(rank_, patience); }
  std::chrono::milliseconds patience() const { return table_->patience(rank_); }
  /// Goes up with each of the above, and with each operation that begins or ends.
  int64_t num_moves() const { return table_->num_moves(rank_); }

  int rank() const { return rank_; }
  /// What this rank says of itself.
  RankProgress own() const { return table_->progress(rank_); }
  std::string whereabouts() const { return table_->whereabouts(rank_); }

  /// This rank cannot go on. All who wait for it end at once with CommError "rank 2 on host a
  /// failed at step 17: cause"; with kCommunication also what other threads of this rank wait for.
  /// The first call counts (a CommError has called it already). Safe in a signal handler.
  void mark_failed(std::string_view cause, ExitStatus status) noexcept {
    table_->mark_failed(rank_, cause, status);
  }

  /// Has the run failed, as far as can be seen from here? The earliest cause, in one line.
  std::optional<std::string> find_failure() const { return table_->find_failure(rank_, {}); }

  /// See ProgressTable.
  void sample_oom_kills() { table_->sample_oom_kills(); }
  void set_silence(int rank, std::chrono::milliseconds silence) {
    table_->set_silence(rank, silence);
  }

  /// Whether another rank of this host failed of its own, or died.
  bool has_lost_one() const { return table_->has_lost_one(rank_); }

  /// What ranks of other hosts are to compare; while somebody else owns it.
  void add_ledger(const std::shared_ptr<OperationLedger>& ledger) {
    const std::lock_guard lock(mutex_);
    std::erase_if(ledgers_, [](const auto& one) { return one.expired(); });
    ledgers_.push_back(ledger);
  }
  std::vector<std::shared_ptr<OperationLedger>> ledgers() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<OperationLedger>> ledgers;
    for (const auto& one : ledgers_)
      if (auto ledger = one.lock()) ledgers.push_back(std::move(ledger));
    return ledgers;
  }

  /// Where every rank is, one line a rank.
  std::string to_text() const { return table_->to_text(); }
  /// Whether `rank` is seen from here: those of other hosts are not.
  bool sees(int rank) const { return table_->state(rank) != RankState::kAbsent; }

 private:
  std::shared_ptr<ProgressTable> table_;
  int rank_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<std::weak_ptr<OperationLedger>> ledgers_;
};

}  // namespace triga
