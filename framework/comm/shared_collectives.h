// SharedCollectives: the large collectives on shared buffers. Inside a host, ranks read and write
// each other's memory; between hosts, the ranks of the same place on each host exchange what their
// hosts have reduced. On one host:
//
//   all_reduce:      rank r reduces slice r of all ranks' tensors and writes it into all of them
//   reduce_scatter:  rank r reduces part r
//   all_gather:      rank r copies the others' parts
//
// On several hosts an all_reduce cuts the tensor into as many columns as the smallest host has
// ranks:
//
//   1  the ranks of column c on each host add up their host's ranks (as partial sums of the tree)
//   2  they exchange the partial sums, each finishing a piece, and exchange the finished pieces
//   3  each writes its column into the memory of all ranks of its host
//
// The caller has seen to it that all ranks are here, and sees to it that all have finished.
#pragma once

#include <vector>

#include "comm/group.h"
#include "comm/message_exchange.h"
#include "comm/reduce.h"
#include "comm/shared_buffers.h"

namespace triga {

class SharedCollectives {
 public:
  /// The references must outlive it.
  SharedCollectives(const Group& group, MessageExchange& messages);

  // Bytes are those of this rank; ranges those of all ranks of this host.

  void all_reduce(const Operation& operation, const SharedRange& data, size_t bytes);
  /// `input`: size() parts as large as `output`.
  void reduce_scatter(const Operation& operation, const SharedRange& input, const Bytes& output);
  /// `output`: size() parts of `part_bytes`; this rank's is in its place.
  void all_gather(const SharedRange& output, size_t part_bytes);
  /// Requires: one host.
  void broadcast(const Operation& operation, const SharedRange& data, size_t bytes);

 private:
  struct Place {  // of a rank of the group
    size_t host, local;
  };
  /// Elements [begin, end).
  struct Slice {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
  };
  static Slice slice_of(int64_t numel, size_t part, size_t num_parts);

  bool is_one_host() const { return group_.hosts.size() == 1; }
  const std::vector<int>& host_ranks(size_t host) const { return group_.hosts[host]; }
  /// The subtrees of the reduction tree that the ranks of a host make.
  std::vector<RankRange> subtrees_of(size_t host) const;
  /// This host's partial sums of a slice, one after the other into `result`.
  void reduce_host(const Operation& operation, const SharedRange& data, Slice slice,
                   std::byte* result) const;
  /// Sums up the partial sums of all hosts, `partials[host]` as reduce_host wrote them.
  void finish(const Operation& operation, const std::vector<const std::byte*>& partials,
              int64_t numel, std::byte* result) const;
  void reduce_column(const Operation& operation, const SharedRange& data, Slice column);
  Bytes scratch(size_t index, size_t bytes);

  const Group& group_;
  MessageExchange& messages_;
  size_t host_ = 0, local_ = 0;  // of this rank
  std::vector<Bytes> scratch_;
};

}  // namespace triga
