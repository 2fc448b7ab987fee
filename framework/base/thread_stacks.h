// thread_stacks: where the threads of this process are, for the report of one that hangs.
#pragma once

#include <chrono>
#include <string>

namespace triga {

/// The calls of every thread but the caller, innermost first; threads with the same are listed once.
/// A thread that does not answer within `patience` (the kernel holds it, as on a disk that is gone)
/// is named with what the kernel says of it. Interrupts system calls of the threads: for a process
/// that is about to end.
std::string thread_stacks(std::chrono::milliseconds patience = std::chrono::seconds(1));

}  // namespace triga
