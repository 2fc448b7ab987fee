// LastWords: how a rank that cannot go on ends: it tells the other ranks, writes the report of the
// run (failure_report.h) and leaves the process. In bounded time, also when the disk does not
// answer any more.
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <string>

#include "base/files.h"
#include "comm/communicator.h"
#include "trainer/run_directory.h"

namespace triga {

/// Threads: any thread; the first one counts, and others wait until the process has ended.
class LastWords {
 public:
  /// `command`: to go on. `leave`: does not return; may be empty, and the caller goes on then.
  LastWords(Communicator& world, FileSystem& files, RunDirectory directory, std::string command,
            std::function<void(const Error&)> leave);

  /// From now on there is something to report. `lease_token`: of the run; when the directory has
  /// another one, another run has it, and nothing is written. `give_up_lease`: called after the
  /// report.
  void begin(std::string lease_token, std::function<void()> give_up_lease);

  /// This rank failed, or lost another one (a CommError).
  void fail(const Error& error);
  /// The thread that trains hangs, and this is another one. The report is written before the others
  /// hear of it, since it knows more than they.
  void hang(const std::string& cause);

 private:
  /// `host`: on which it happened; "": elsewhere. Waits for it in its destructor.
  std::future<void> report(const Error& error, const std::string& host);
  bool owns_directory() const;

  Communicator& world_;
  FileSystem& files_;
  const RunDirectory directory_;
  const std::string command_;
  const std::function<void(const Error&)> leave_;
  bool has_begun_ = false;
  std::string lease_token_;
  std::function<void()> give_up_lease_;
  std::mutex one_at_a_time_;
};

}  // namespace triga
