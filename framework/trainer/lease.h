// Lease: at most one run writes to a run directory. A file says who holds it, and is written anew
// every few seconds (in place where the disk is full), so that a holder that died on another host,
// or in a container whose processes are not seen from here, is noticed by its silence. Elsewhere the
// process itself is looked at.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/files.h"

namespace triga {

struct LeaseTiming {
  std::chrono::milliseconds heartbeat{5000};
  /// A holder out of sight, as on another host, that was silent for so long is taken for dead.
  std::chrono::milliseconds expiry{60000};
  /// How long a holder in sight that was killed may take to end.
  std::chrono::milliseconds dying{2000};
};

/// A directory that no run writes to, for as long as this lives: nobody can take its lease.
/// Throws: ConfigError as Lease does.
std::unique_ptr<FileLock> hold_unused(FileSystem& files, const Path& file,
                                      const LeaseTiming& timing = {});

/// The token of the process that has the lease; empty: nobody has it.
std::string lease_token(FileSystem& files, const Path& file);

/// Who holds a lease, or held it when its process ended without giving it up.
struct LeaseHolder {
  std::string host;
  int64_t pid = 0;
  bool is_alive = false;
};
/// Nothing: nobody. Takes some seconds when the holder is out of sight and silent.
std::optional<LeaseHolder> lease_holder(FileSystem& files, const Path& file,
                                        const LeaseTiming& timing = {});

class Lease {
 public:
  /// Takes the lease. `file`'s folder must exist. Throws: ConfigError that says who holds it, since
  /// when, and what to do.
  Lease(FileSystem& files, Path file, LeaseTiming timing = {});
  /// Gives it up, unless another took it meanwhile.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Nobody else's; what the file holds while this process has the lease.
  const std::string& token() const { return token_; }

  /// Throws: CheckpointError when another process took the lease (this one was taken for dead):
  /// writing must stop.
  void check() const;

 private:
  void beat();
  std::string content() const;

  FileSystem& files_;
  Path file_;
  LeaseTiming timing_;
  std::string token_;  // host, process and start time: nobody else's
  std::atomic<int64_t> num_beats_ = 0;
  std::atomic<bool> is_lost_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace triga
