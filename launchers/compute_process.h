// What a process that computes sets up for itself before it does.
#pragma once

#include "launchers/environment.h"

namespace triga {

/// Counts LibTorch's memory, keeps what it frees, and takes this rank's share of the host's cores,
/// as one of `local_size` ranks here.
void prepare_to_compute(int local_size);

}  // namespace triga
