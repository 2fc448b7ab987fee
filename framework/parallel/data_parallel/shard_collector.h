// ShardCollector: puts together again what data-parallel ranks own in parts, for a checkpoint,
// which holds whole tensors under the names of parameters. Buckets are dealt out to the ranks, so
// that each collects, and writes, its share: weights to the first, what the optimizer keeps to the
// others. Where every rank has everything they are dealt out as well, for the writing.
#pragma once

#include <string>
#include <vector>

#include "base/host_buffers.h"
#include "comm/communicator.h"
#include "parameters/parameter_store.h"

namespace triga {

class ShardCollector {
 public:
  /// Both must outlive it.
  ShardCollector(const ParameterStore& store, Communicator& data);

  struct Collected {
    const StoredParameter* parameter;
    at::Tensor value;  // whole, in the parameter's shape
  };
  /// `owned`: fp32 [num_owned] of each rank. Gives the whole tensors of the parameters whose
  /// buckets are dealt to this rank; views where nothing is sharded. `to_first`: all go to rank 0
  /// instead. On the CPU, what is put together lies in `buffers`, unless that is null. Collective.
  /// Throws: CommError.
  std::vector<Collected> collect(const at::Tensor& owned, const std::string& what, bool to_first,
                                 HostBuffers* buffers = nullptr);

 private:
  int collector_of(size_t bucket, bool to_first) const;

  const ParameterStore& store_;
  Communicator& data_;
};

}  // namespace triga
