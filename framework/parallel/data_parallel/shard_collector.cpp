#include "parallel/data_parallel/shard_collector.h"

#include <ATen/ops/empty.h>

#include "triga/error.h"

namespace triga {

ShardCollector::ShardCollector(const ParameterStore& store, Communicator& data)
    : store_(store), data_(data) {}

int ShardCollector::collector_of(size_t bucket, bool to_first) const {
  if (to_first || data_.size() == 1) return 0;
  return 1 + static_cast<int>(bucket % static_cast<size_t>(data_.size() - 1));
}

std::vector<ShardCollector::Collected> ShardCollector::collect(const at::Tensor& owned,
                                                               const std::string& what,
                                                               bool to_first,
                                                               HostBuffers* buffers) {
  std::vector<at::Tensor> whole(store_.buckets().size());
  data_.begin_group();
  for (size_t bucket = 0; bucket < whole.size(); ++bucket) {
    const Bucket& of = store_.buckets()[bucket];
    const int collector = collector_of(bucket, to_first);
    const at::Tensor mine = store_.owned_view(owned, bucket, store_.owned(of));
    if (!store_.options().is_sharded) {
      if (collector == data_.rank()) whole[bucket] = mine;
      continue;
    }
    const std::string name = c10::str(what, " of bucket ", bucket);
    if (collector != data_.rank()) {
      data_.send(mine, collector, name);
      continue;
    }
    whole[bucket] = buffers != nullptr && mine.is_cpu()
                        ? buffers->take(name, {of.range.size()}, mine.scalar_type())
                        : at::empty({of.range.size()}, mine.options());
    for (int rank = 0; rank < data_.size(); ++rank) {
      const FlatRange part = of.part(rank, data_.size());
      const at::Tensor place =
          whole[bucket].slice(0, part.begin - of.range.begin, part.end - of.range.begin);
      if (rank == data_.rank())
        at::Tensor(place).copy_(mine);
      else
        data_.recv(place, rank, name);
    }
  }
  data_.end_group().synchronize();
  std::vector<Collected> collected;
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!parameter.is_trainable) continue;
    const auto bucket = static_cast<size_t>(parameter.bucket);
    if (!whole[bucket].defined()) continue;
    const int64_t offset = parameter.offset - store_.buckets()[bucket].range.begin;
    collected.push_back(
        {&parameter, whole[bucket].narrow(0, offset, parameter.numel).view(parameter.shape)});
  }
  return collected;
}

}  // namespace triga
