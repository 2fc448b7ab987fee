// Group: who takes part in a communicator, and which of them share a host.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace triga {

struct Group {
  std::string name;        // "world", "data"
  std::vector<int> ranks;  // of the fabric, by rank of the group
  int rank = 0;            // own, in the group
  int id = 0;              // any two groups that have two ranks in common differ in it
  /// Ranks of the group by host, in the order of each host's first rank.
  std::vector<std::vector<int>> hosts;

  int size() const { return static_cast<int>(ranks.size()); }
  int fabric_rank() const { return ranks[static_cast<size_t>(rank)]; }
};

/// Ranks of the group on the host of its own rank.
inline const std::vector<int>& own_host(const Group& group) {
  return *std::find_if(group.hosts.begin(), group.hosts.end(), [&](const auto& on_host) {
    return std::find(on_host.begin(), on_host.end(), group.rank) != on_host.end();
  });
}

}  // namespace triga
