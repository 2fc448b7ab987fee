#include "comm/host_leaders.h"

#include <set>

namespace triga {

std::vector<int> host_leaders(const Communicator& group) {
  std::vector<int> leaders;
  std::set<std::string> seen;
  for (int rank = 0; rank < group.size(); ++rank)
    if (seen.insert(group.host(rank)).second) leaders.push_back(rank);
  return leaders;
}

}  // namespace triga
