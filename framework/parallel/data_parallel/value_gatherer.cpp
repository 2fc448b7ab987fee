#include "parallel/data_parallel/value_gatherer.h"

#include "triga/error.h"

namespace triga {

ValueGatherer::ValueGatherer(const ParameterStore& store, Communicator& data)
    : store_(store), data_(data), pending_(store.buckets().size()) {}

void ValueGatherer::start(size_t bucket) {
  if (!store_.options().is_sharded || data_.size() == 1) return;
  const Bucket& of = store_.buckets()[bucket];
  pending_[bucket] =
      data_.all_gather(store_.part(of).of(store_.flat_values()), of.range.of(store_.flat_values()),
                       c10::str("values of bucket ", bucket));
}

void ValueGatherer::await(size_t bucket) {
  if (!pending_[bucket]) return;
  pending_[bucket]->wait();
  pending_[bucket].reset();
}

void ValueGatherer::await_all() {
  for (size_t bucket = 0; bucket < pending_.size(); ++bucket) await(bucket);
}

}  // namespace triga
