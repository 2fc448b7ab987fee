// MpirunWords: what mpirun and the ranks write to standard error, passed on as it comes, and what
// mpirun alone knows: which rank it saw killed first, and where. Ranks of other hosts only miss that
// one, and are ended by mpirun seconds later; where it was the only one of its host, or all of them
// died at once, nobody is left who could report it.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
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
  ~MpirunWords();
  MpirunWords(const MpirunWords&) = delete;
  MpirunWords& operator=(const MpirunWords&) = delete;

  /// A program that writes its standard error to us; else as with ChildProcess::Streams::kOurs. To be
  /// called once, while no other thread uses standard error. Throws: Error.
  ChildProcess start(const std::vector<std::string>& line);

  /// After the end of that program: what it wrote has been passed on. Nothing: mpirun named no rank,
  /// or said before that it had lost a host, and what ended then it may have ended itself.
  std::optional<KilledRank> killed_first();

 private:
  struct Files {
    int from = -1, to = -1;  // the pipe's ends
    int out = -1;            // our standard error
    Files();
    ~Files();
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    void close_write_end();
  };

  void pass_on();
  void look_for_words(std::string_view text);

  Files files_;
  std::atomic<bool> is_over_ = false;
  std::string line_;  // as far as it has come
  bool has_lost_host_ = false;
  std::optional<KilledRank> killed_;
  std::thread thread_;
};

/// Of a line such as "mpirun noticed that process rank 1 with PID 0 on node b exited on signal 9
/// (Killed)."; nothing: it is another one.
std::optional<MpirunWords::KilledRank> killed_rank_in(const std::string& line);

}  // namespace triga
