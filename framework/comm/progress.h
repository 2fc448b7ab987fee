// Progress: what this rank tells the other ranks of its host of itself, and what it can say of
// them. It is how a failure is explained: the trainer says what it is doing, main() says why it
// ends, and writes to_text() into failure.txt.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "comm/progress_table.h"

namespace triga {

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

  /// This rank cannot go on. All who wait for it end at once with CommError "rank 2 on host a
  /// failed at step 17: cause". The first call counts (a CommError has called it already). Safe in
  /// a signal handler.
  void mark_failed(std::string_view cause, ExitStatus status) noexcept {
    table_->mark_failed(rank_, cause, status);
  }

  /// Has the run failed, as far as can be seen from here? The earliest cause, in one line. A rank
  /// that is told to stop by a signal asks this first: the launcher sends one to the survivors of a
  /// crash too.
  std::optional<std::string> find_failure() const { return table_->find_failure(rank_, {}); }

  /// Where every rank is, one line a rank.
  std::string to_text() const { return table_->to_text(); }

 private:
  std::shared_ptr<ProgressTable> table_;
  int rank_;
};

}  // namespace triga
