// Communicators whose ranks are threads of this process: for tests, and, with one rank, for a run
// without MPI. They follow the same rules as those over MPI (order, checks, deadlines), since only
// the way of a message differs.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace triga {

struct LocalOptions {
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// Names of the hosts that the ranks are to believe they are on, by rank; ranks of different
  /// hosts share no memory. Empty: all on this one.
  std::vector<std::string> hosts;
};

/// One communicator a rank, by rank. Each belongs to the thread that is that rank; all must be
/// destroyed at the end.
std::vector<std::unique_ptr<Communicator>> make_local_communicators(
    int num_ranks, const LocalOptions& options = {});

/// The world of a run of one rank.
std::unique_ptr<Communicator> make_single_communicator();

}  // namespace triga
