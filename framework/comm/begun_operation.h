// BegunOperation: what a rank says to ranks of other hosts of an operation that it has begun
// (operation_ledger.h), in its record in the run's folder.
#pragma once

#include <cstdint>
#include <string>

namespace triga {

struct BegunOperation {
  uint64_t group = 0;      // the same on all ranks of a group, another one in each other group
  int from = -1, to = -1;  // ranks of the group, of a message; -1: a collective
  uint64_t number = 0;  // among the collectives of the group, or the messages from one to another
  uint64_t before = 0;  // digest of all before it
  uint64_t digest = 0;  // and with it
  std::string text;     // in words
};

}  // namespace triga
