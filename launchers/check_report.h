// What `triga plugin check` prints: a line for each check, its problems, and a summary, also when
// the plugin crashes.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "triga/error.h"

namespace triga {

/// At most one at a time: from its constructor on, a signal that ends the process (SIGSEGV, SIGABRT,
/// SIGFPE, SIGBUS, SIGILL) is a failure of the running check. It is said on standard output and ends
/// the process with ExitStatus::kPlugin.
class CheckReport {
 public:
  CheckReport(std::ostream& out, std::string file);
  ~CheckReport();
  CheckReport(const CheckReport&) = delete;
  CheckReport& operator=(const CheckReport&) = delete;

  /// True: nothing is wrong. An exception is a problem, named after `plugin` unless that is empty.
  /// `find_nothing`: why there is nothing to look at, which is neither passed nor failed; "": there
  /// is. Null: there always is.
  bool check(const std::string& of, const std::string& claim, const std::string& plugin,
             const std::function<std::vector<std::string>()>& find_problems,
             const std::function<std::string()>& find_nothing = nullptr);

  /// What the running check tries, for the words of a crash: "dropout: -1".
  void is_trying(const std::string& what);

  ExitStatus summary();

 private:
  std::ostream& out_;
  std::string file_, running_;
  int num_checks_ = 0, num_failed_ = 0, num_without_ = 0;
};

}  // namespace triga
