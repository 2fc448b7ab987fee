// MpirunWords: what mpirun and the ranks write to standard error, passed on as it comes, and what
// mpirun alone knows: which rank it saw killed first, and where. Ranks of other hosts only miss that
// one, and are ended by mpirun seconds later; where it was the only one of its host, or all of them
// died at once, nobody is left who could report it.
//
// It is written into a file in memory, not into a pipe: mpirun waits for no reader, be it a terminal
// that was stopped, and lives on where this process is killed.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"

namespace triga {

class MpirunWords {
 public:
  struct KilledRank {
    int rank = 0;
    std::string host;  // as --hosts names it; the one that mpirun runs on: as it calls itself
    int signal = 0;
  };

  /// Throws: Error.
  MpirunWords();
  ~MpirunWords();  // what was not passed on yet is not waited for
  MpirunWords(const MpirunWords&) = delete;
  MpirunWords& operator=(const MpirunWords&) = delete;

  /// A program that writes its standard error to us; else as with ChildProcess::Streams::kOurs. To be
  /// called once, while no other thread uses standard error. Throws: Error.
  ChildProcess start(const std::vector<std::string>& line);

  /// After the end of that program: what it wrote has been passed on, unless who reads our standard
  /// error does not take it for seconds. Nothing: mpirun named no rank,
  /// or one that aborted (libraries do when a peer vanishes), or said before that it had lost a host, and
  /// what ended then it may have ended itself.
  std::optional<KilledRank> killed_first();

 private:
  struct State;
  static void pass_on(State& state);

  std::shared_ptr<State> state_;  // also of the thread that passes on, which may stand in a write
  std::future<void> all_is_passed_on_;  // of no thread: not started, or waited for
};

/// Of a line such as "mpirun noticed that process rank 1 with PID 0 on node b exited on signal 9
/// (Killed)."; nothing: it is another one.
std::optional<MpirunWords::KilledRank> killed_rank_in(const std::string& line);

}  // namespace triga
