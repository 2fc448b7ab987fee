// HostPool: the hosts that `triga launch --hosts` may start ranks on. One that runs ended on again
// and again, or that does not answer any more, is left out of the next start.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "launchers/host_list.h"

namespace triga {

class HostPool {
 public:
  /// A host on which this many starts ended is left out.
  static constexpr int kMostEnds = 2;

  /// What each of these hosts calls itself; nothing: no program can be started on it now.
  using Ask =
      std::function<std::vector<std::optional<std::string>>(const std::vector<std::string>& hosts)>;

  /// What happens is said to `out`.
  HostPool(std::vector<Host> hosts, Ask ask, std::ostream& out);

  /// A start ended because of what happened on `host`: as the list has it, or as it calls itself,
  /// which for an address, or an alias, is known once it was asked. node1 is also
  /// node1.example.org. "": nobody knows which. Returns whether it is one of the hosts, and is left
  /// out from now on.
  bool ended_on(const std::string& host);

  /// Those for the next start, in their order. Asks each of them.
  std::vector<Host> usable();

  /// Those of `hosts` on which nothing can be started. Asks each of them.
  std::vector<std::string> silent(const std::vector<Host>& hosts);

 private:
  std::vector<std::optional<std::string>> ask(const std::vector<Host>& hosts);
  /// Null: none, or several could be meant.
  const Host* find(const std::string& name) const;
  int num_ends(const Host& host) const;

  const std::vector<Host> hosts_;
  const Ask ask_;
  std::ostream& out_;
  std::vector<std::string> ends_;                 // where starts ended, as it was told
  std::map<std::string, std::string> own_names_;  // what hosts of the list call themselves
};

/// HostPool::Ask, by a program that mpirun starts on each host, all at once, until `is_cancelled`.
/// "": a host answers, but does not say its name. `command`: the words of mpirun and the options
/// with which it starts ranks.
std::vector<std::optional<std::string>> ask_hosts(
    const std::vector<std::string>& hosts, const std::vector<std::string>& command,
    const std::function<bool()>& is_cancelled,
    std::chrono::milliseconds patience = std::chrono::seconds(30));

}  // namespace triga
