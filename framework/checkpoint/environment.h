// What a checkpoint was made with. Another machine or library may round differently: resuming there
// is allowed, and said.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/snapshot.h"

namespace triga {

/// This process: "triga", "libtorch", "cpu" (the model), "cpu_capability" (the instruction set that
/// kernels are chosen for). Who knows more (GPU, MPI, plugins) adds it.
Environment this_environment();

/// A sentence for each difference between what wrote a checkpoint and what runs now; empty: nothing
/// differs.
std::vector<std::string> environment_differences(const Environment& stored, const Environment& now);

}  // namespace triga
