// What every implementation of Communicator must do. Each case is run by all ranks of a world
// together: as threads (tests/unit/comm) and under mpirun (tests/multirank). Expected values are
// closed forms, never another collective.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace triga::testing {

struct CommunicatorCase {
  std::string name;
  void (*run)(Communicator& world);  // reports through EXPECT_...
};

const std::vector<CommunicatorCase>& communicator_cases();

/// `cases`, and those about memory that the communicator allocated (buffer_cases.cpp).
std::vector<CommunicatorCase> with_buffer_cases(std::vector<CommunicatorCase> cases);

}  // namespace triga::testing
