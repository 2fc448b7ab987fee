// Communicators whose ranks are threads of this process: for tests, and, with one rank, for a run
// without MPI. They follow the same rules as those over MPI (order, checks, deadlines), since only
// the way of a message differs.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace triga {

/// One communicator a rank, by rank. Each belongs to the thread that is that rank; all must be
/// destroyed at the end.
std::vector<std::unique_ptr<Communicator>> make_local_communicators(
    int num_ranks, std::chrono::milliseconds deadline = std::chrono::minutes(5));

/// The world of a run of one rank.
std::unique_ptr<Communicator> make_single_communicator();

}  // namespace triga
