// What a run reads, as fingerprints: the same on all ranks, and the same after a resume.
#pragma once

#include <map>
#include <string>

#include "checkpoint/snapshot.h"
#include "comm/communicator.h"
#include "trainer/assembly.h"

namespace triga {

/// Dataset::fingerprint() by split.
using Fingerprints = std::map<std::string, std::string>;

/// Throws: DataError when a rank reads other data than rank 0. Collective.
Fingerprints data_fingerprints(Communicator& world, const Assembly& assembly);

/// A run that goes on with `state` reads what it began with. `may_warn`: of other validation data.
/// Throws: DataError when the training data are others.
void check_data(const Fingerprints& now, const TrainingState& state, bool may_warn);

}  // namespace triga
