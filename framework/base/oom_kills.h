// OomKills: whether the kernel ended processes for lack of memory since this object was made. A
// process that it ends says nothing; its neighbours can, from counters that every user may read:
// those of the control groups that hold this process (its container, its job), and the host's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace triga {

class OomKills {
 public:
  /// `root`: of the file system, for tests.
  explicit OomKills(std::string root = "");

  /// Nothing: none that is known of. Otherwise who did it: "the out-of-memory killer of control
  /// group /job (limit 2.0 GB)", or the host's, which may have ended a process of somebody else.
  std::optional<std::string> since() const;

 private:
  struct Counts {
    std::map<std::string, int64_t> of_groups;  // by folder
    int64_t of_host = 0;
  };
  Counts count() const;

  std::string root_;
  Counts before_;
};

}  // namespace triga
