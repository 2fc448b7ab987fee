// What this machine calls itself, and which processes can see each other.
#pragma once

#include <string>

namespace triga {

/// Name of this machine.
std::string host_name();

/// The same in two processes exactly when they run under one kernel and see each other's process
/// ids: the same boot, the same namespace of processes.
std::string process_space();

}  // namespace triga
