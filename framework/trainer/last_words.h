// LastWords: how a rank that cannot go on ends: it tells the other ranks, writes the report of the
// run (failure_report.h) and leaves the process. In bounded time, whatever does not answer any
// more: the disk, the terminal, another thread. What is known at once is written at once; where the
// other ranks were (a file a rank to read) is asked only by the rank whose report stands, and added
// then.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <mutex>
#include <string>

#include "base/files.h"
#include "comm/communicator.h"
#include "trainer/failure_report.h"
#include "trainer/run_directory.h"

namespace triga {

/// Threads: any thread; the first one counts, and others wait until the process has ended.
class LastWords {
 public:
  /// How long a rank may take to end.
  static constexpr std::chrono::milliseconds kToEnd{15000};

  /// `command`: to go on. `give_up_lease`: called after the report, also where there is none.
  /// `leave`: does not return; may be empty, and the caller goes on then.
  /// `to_end`: after which the process ends by force where `leave` is to end it.
  LastWords(Communicator& world, FileSystem& files, RunDirectory directory, std::string command,
            std::function<void()> give_up_lease, std::function<void(const Error&)> leave,
            std::chrono::milliseconds to_end = kToEnd);

  /// From now on there is something to report. `lease_token`: of the run; when the directory has
  /// another one, another run has it, and nothing is written.
  void begin(std::string lease_token);

  /// This rank failed, or lost another one (a CommError).
  void fail(const Error& error);
  /// The thread that trains hangs, and this is another one. The report is written before the others
  /// hear of it, since it knows more than they. `details`: more lines for it, which may take their
  /// time or never come: asked once the cause is written.
  void hang(const std::string& cause, const std::function<std::string()>& details);

 private:
  struct Said {
    Reported reported = Reported::kNot;
    std::string details;
  };
  /// `host`: on which it happened; "": elsewhere. Its destructor waits for it.
  std::shared_future<Said> say(const Error& error, const std::string& host,
                               std::function<std::string()> details);
  /// Throws when it can do no more; `said` holds what was done.
  void report(const Error& error, const std::string& host,
              const std::function<std::string()>& details, Said& said) const;
  bool owns_directory() const;

  Communicator& world_;
  FileSystem& files_;
  const RunDirectory directory_;
  const std::string command_;
  const std::function<void()> give_up_lease_;
  const std::function<void(const Error&)> leave_;
  const std::chrono::milliseconds to_end_;
  bool has_begun_ = false;
  std::string lease_token_;
  std::mutex one_at_a_time_;
};

}  // namespace triga
