// The hosts of a group, each by its lowest rank: who does what is done once a host.
#pragma once

#include <vector>

#include "comm/communicator.h"

namespace triga {

/// The lowest rank of each host, ascending; rank 0 is the first. Hosts are told apart by name.
std::vector<int> host_leaders(const Communicator& group);

}  // namespace triga
