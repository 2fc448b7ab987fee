// RankReporter: writes this rank's record (rank_record.h) about once a second, in a thread of its
// own, from a run's beginning to its end; it compares what ranks of other hosts say there that they
// have begun (operation_ledger.h), on rank 0 it looks for stragglers too, and on one rank of each
// host for other hosts that are silent. A disk that is full or gone stops the records, never
// the run. What a rank leaves that dies stays, for the others' report.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/files.h"
#include "base/trace.h"
#include "comm/communicator.h"
#include "metrics/metric_sink.h"
#include "trainer/rank_record.h"
#include "trainer/silent_ranks.h"
#include "trainer/step_clock.h"
#include "trainer/stragglers.h"

namespace triga {

/// A sink of rank 0's trainer, for saves that fail.
class RankReporter final : public MetricSink {
 public:
  /// All must outlive it. The folder of the records must be there.
  RankReporter(Communicator& world, const Trace& trace, const StepClock& clock, FileSystem& files,
               const RunDirectory& directory, const Stragglers::Options& stragglers = {});
  /// Takes its record away: the run has ended.
  ~RankReporter() override;
  RankReporter(const RankReporter&) = delete;
  RankReporter& operator=(const RankReporter&) = delete;

  /// Once the grid is known: ranks with the same number do the same work.
  void set_stage_rank(int stage_rank) { stage_rank_ = stage_rank; }

  void record(const MetricRecord& /*record*/) override {}
  void record_saves(const SaveRecord& saves) override { num_failed_saves_ = saves.num_failed; }

 private:
  void run();
  void write();
  void look_for_stragglers();
  void look_for_silent_ranks();
  void compare_operations();
  bool is_stopping();

  Progress& progress_;
  const Trace& trace_;
  const StepClock& clock_;
  FileSystem& files_;
  const RunDirectory directory_;
  RankRecord record_;  // of the thread
  std::atomic<int> stage_rank_{0};
  std::atomic<int64_t> num_failed_saves_{0};
  Stragglers stragglers_;
  SilentRanks silent_ranks_;
  bool has_warned_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
