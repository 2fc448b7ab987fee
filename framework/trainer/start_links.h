// What the log of a run says at its start of the links between ranks and of the clocks of hosts.
#pragma once

#include "comm/communicator.h"
#include "config/experiment.h"

namespace triga {

/// Measures, and says what was found (rank 0). On one host there is nothing to see, and nothing is
/// done unless it was asked for. Collective.
void measure_links(Communicator& world, LogConfig::MeasureLinks when);

}  // namespace triga
