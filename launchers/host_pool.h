// HostPool: the hosts that `triga launch --hosts` may start ranks on. One that runs ended on again
// and again, or that does not answer any more, is left out of the next start.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "launchers/host_list.h"

namespace triga {

class HostPool {
 public:
  /// A host on which this many starts ended is left out.
  static constexpr int kMostEnds = 2;

  /// `answers`: of these hosts, whether each can start a program now. What happens is said to `out`.
  HostPool(std::vector<Host> hosts,
           std::function<std::vector<bool>(const std::vector<std::string>&)> answers,
           std::ostream& out);

  /// A start ended because of what happened on `host`, by the name that it gives itself: node1 is
  /// also node1.example.org. "": nobody knows which. Returns whether it is one of the hosts, and is
  /// left out from now on.
  bool ended_on(const std::string& host);

  /// Those for the next start, in their order. Asks each of them.
  std::vector<Host> usable();

 private:
  const std::vector<Host> hosts_;
  const std::function<std::vector<bool>(const std::vector<std::string>&)> answers_;
  std::ostream& out_;
  std::map<std::string, int> num_ends_;
};

/// Whether mpirun can start a program on each host, all asked at once, until `is_cancelled`.
/// `command`: the words of mpirun and the options with which it starts ranks.
std::vector<bool> can_start_on(const std::vector<std::string>& hosts,
                               const std::vector<std::string>& command,
                               const std::function<bool()>& is_cancelled,
                               std::chrono::milliseconds patience = std::chrono::seconds(30));

}  // namespace triga
