// The world of a test under mpirun.
#pragma once

#include "comm/communicator.h"

namespace triga::testing {

/// All ranks of this run; the same object in all tests of a binary.
Communicator& world();

}  // namespace triga::testing
