// ProgressTable: what each rank of a run is doing, in memory that all ranks of a host share. Ranks
// that wait for others look here, so that the end of a run is explained: who died, who stopped, who
// failed of its own and why, and where everybody else was.
//
// A rank that lives holds a lock on its byte of the table's memory file. The kernel drops it when
// the process ends, however it ends, so a dead process is noticed without a heartbeat, and a reused
// process id cannot deceive. The file has no name anywhere: nothing is left behind after a crash.
//
// Ranks on other hosts are not visible here; deadlines reveal that they are gone, or the silence of
// their records in the run's folder, which is entered here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/oom_kills.h"
#include "triga/error.h"

namespace triga {

enum class RankState : uint32_t {
  kAbsent,  // did not join yet, or not visible from this host
  kRunning,
  kFailed,    // said so itself, with its cause
  kFinished,  // ended regularly
  kLeft       // its communicator was destroyed before the regular end
};

/// Which part of a step a rank is in; kOther: between such parts, or what its activity says.
enum class Phase : uint8_t {
  kOther,
  kData,
  kForward,
  kBackward,
  kBackwardInputs,   // of a backward pass in two parts
  kBackwardWeights,  // its second part
  kUpdate
};
std::string_view word(Phase phase);

/// What a rank does now.
struct Doing {
  Phase phase = Phase::kOther;
  int stage = -1;       // -1: the whole model
  int microbatch = -1;  // of the step; -1: none
};

/// What a rank says of itself, as far as the others of its host see it.
struct RankProgress {
  RankState state = RankState::kAbsent;
  int64_t pid = 0;
  int64_t step = 0;
  Doing doing;
  std::string what;  // in words, without the step: "forward of microbatch 3, in all_reduce ..."
  int64_t num_moves = 0;  // how often it went on to something else
  int64_t moved_ns = 0;   // when it did so last, since 1970
};

/// Which of a rank's two streams of operations: data operations, or the host channel.
enum class ProgressStream { kData, kHost };

/// Threads: any thread may call, several at once.
class ProgressTable {
 public:
  /// A table in the memory of this process, for ranks that are threads of it. `hosts[r]`: host name
  /// of rank r.
  static std::shared_ptr<ProgressTable> in_process(std::vector<std::string> hosts);

  /// A table in a memory file that the other ranks of this host can open through `address()`.
  static std::shared_ptr<ProgressTable> create_shared(std::vector<std::string> hosts);
  /// Opens another process's table. Throws: CommError when the system does not allow it.
  static std::shared_ptr<ProgressTable> open_shared(const std::string& address,
                                                    std::vector<std::string> hosts);

  ~ProgressTable();
  ProgressTable(const ProgressTable&) = delete;
  ProgressTable& operator=(const ProgressTable&) = delete;

  /// Path under which a process of the same user on this host can open the table while this process
  /// lives.
  std::string address() const;

  /// Enters `rank` as a rank of this process.
  void join(int rank);

  // What a rank of this process says of itself.

  void set_step(int rank, int64_t step);
  /// In words, for messages: "evaluation", "saving checkpoint step-00000500".
  void set_activity(int rank, std::string_view activity);
  /// Memory that it is about to take on this host, and that `available_memory_bytes()` therefore
  /// still counts as free; 0: no more.
  void set_reserved(int rank, size_t bytes);
  /// Stores to atomics only: what the hot path calls.
  void set_doing(int rank, Doing doing) noexcept;
  /// It goes on, with what it is doing: the next layer. As cheap.
  void move(int rank) noexcept;
  /// For what takes long without a sign of life (a checkpoint on a slow disk); 0: nothing does.
  void set_patience(int rank, std::chrono::milliseconds patience);
  void begin_operation(int rank, ProgressStream stream, std::string_view operation);
  void end_operation(int rank, ProgressStream stream);
  /// This rank cannot go on: every other rank that waits for it ends with `cause`. The first call
  /// counts. Only the first line of `cause` is kept. `status` kCommunication says that `cause`
  /// speaks of others (a dead peer): then what other threads of this rank wait for ends, too.
  /// Allocates nothing and takes no lock: may be called in a signal handler.
  void mark_failed(int rank, std::string_view cause, ExitStatus status) noexcept;
  /// Unless it failed.
  void mark_finished(int rank) noexcept;
  /// kLeft, unless it failed or finished.
  void mark_left(int rank) noexcept;

  // What others look at.

  RankState state(int rank) const;
  int64_t step(int rank) const;
  RankProgress progress(int rank) const;
  int64_t num_moves(int rank) const;
  std::chrono::milliseconds patience(int rank) const;
  /// What all ranks of this host are about to take, and how many they are.
  struct Reserved {
    size_t bytes = 0;
    int num_ranks = 0;
  };
  Reserved reserved() const;
  /// By SIGSTOP or a debugger: its process lives but does nothing.
  bool is_stopped(int rank) const;
  /// The earliest cause why the run cannot go on, in one line: a rank that failed of its own, else
  /// one that died, else what another rank found out, or another thread of this one. Also when a
  /// rank of `needed` ended some time ago, though it is still waited for.
  std::optional<std::string> find_failure(int own_rank, std::span<const int> needed) const;
  /// Called about once a second, so that the death of a rank is explained by what the kernel did
  /// shortly before, and by nothing older. Does nothing once a rank of this host has died.
  void sample_oom_kills();
  /// For how long `rank`, which is on another host, has given no sign of life where it should have;
  /// 0: it has. Told by one rank of this host to the others.
  void set_silence(int rank, std::chrono::milliseconds silence);
  std::chrono::milliseconds silence(int rank) const;
  /// Whether a rank that is seen from here failed of its own, or died.
  bool has_lost_one(int own_rank) const;
  /// "rank 2 on host a".
  std::string name_of(int rank) const;
  /// What `rank` was last known to do: "step 17, in all_reduce ... ".
  std::string describe(int rank) const;
  /// "rank 2 on host a (stopped by a signal): step 17, in all_reduce ... ".
  std::string whereabouts(int rank) const;
  /// The whereabouts of all ranks, one line a rank, for failure.txt and for messages.
  std::string to_text() const;

 private:
  struct Entry;
  class Memory;

  ProgressTable(std::unique_ptr<Memory> memory, std::vector<std::string> hosts);
  Entry& entry(int rank) const;
  static void leave(Entry& own, RankState state) noexcept;
  static void moved(Entry& own) noexcept;
  static std::string what_of(const Entry& entry);
  std::string death_of(int rank) const;
  bool is_dead(int rank) const;
  int size() const { return static_cast<int>(hosts_.size()); }

  std::unique_ptr<Memory> memory_;
  std::vector<std::string> hosts_;  // by rank
  OomKills oom_kills_;
};

}  // namespace triga
