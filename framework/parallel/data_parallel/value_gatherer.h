// ValueGatherer: with a sharded optimizer each rank has updated its part of every bucket's values;
// this brings the others' parts. A gather is awaited by whoever reads the bucket next: the next
// step's forward pass layer by layer, so that later layers' values travel while earlier layers
// compute; evaluation; a checkpoint.
//
// Without sharding, and on one rank, everything here is done at once.
#pragma once

#include <optional>
#include <vector>

#include "comm/communicator.h"
#include "parameters/parameter_store.h"

namespace triga {

class ValueGatherer {
 public:
  /// Both must outlive it.
  ValueGatherer(const ParameterStore& store, Communicator& data);

  /// Starts the gather of a bucket. Collective: in the same order on all ranks.
  void start(size_t bucket);
  bool is_here(size_t bucket) const { return !pending_[bucket]; }
  /// Throws: CommError.
  void await(size_t bucket);
  void await_all();

 private:
  const ParameterStore& store_;
  Communicator& data_;
  std::vector<std::optional<Work>> pending_;  // [bucket]
};

}  // namespace triga
