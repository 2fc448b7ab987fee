// With another number of threads LibTorch's operations on CPUs give other last bits. So the number
// is part of what a run is: its checkpoints tell it, and a run that goes on takes it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/snapshot.h"
#include "comm/communicator.h"

namespace triga {

/// How many threads each rank computes with, chosen before it computes anything: `wanted`, else,
/// where this run goes on from a `checkpoint` of as many ranks, what they had then; else what is set
/// already, its share of the host's cores. On GPUs what a checkpoint says does not matter.
/// Collective. Enters the choice into `environment`, which a checkpoint's manifest holds, as
/// "threads": "2,2", by rank. Throws: CheckpointError.
void choose_threads(Communicator& world, FileSystem& files, std::optional<int64_t> wanted,
                    const std::optional<Path>& checkpoint, Environment& environment);

/// The numbers of "2,2,1"; nothing where they are not those of `num_ranks` ranks.
std::optional<std::vector<int>> parse_threads(const std::string& text, int num_ranks);

}  // namespace triga
