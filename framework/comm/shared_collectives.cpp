#include "comm/shared_collectives.h"

#include <algorithm>
#include <cstring>

namespace triga {
namespace {

constexpr int64_t kAlignment = 16;           // elements: slices begin at a cache line
constexpr int64_t kRoundElements = 1 << 20;  // of a column between hosts; bounds the scratch memory

size_t element_bytes(at::ScalarType type) {
  return elementSize(type);
}

}  // namespace

SharedCollectives::SharedCollectives(const Group& group, MessageExchange& messages)
    : group_(group), messages_(messages) {
  for (size_t host = 0; host < group.hosts.size(); ++host) {
    const auto& ranks = group.hosts[host];
    const auto own = std::find(ranks.begin(), ranks.end(), group.rank);
    if (own == ranks.end()) continue;
    host_ = host;
    local_ = static_cast<size_t>(own - ranks.begin());
  }
}

SharedCollectives::Slice SharedCollectives::slice_of(int64_t numel, size_t part, size_t num_parts) {
  const auto parts = static_cast<int64_t>(num_parts);
  const int64_t each = (numel + parts - 1) / parts;
  const int64_t aligned = (each + kAlignment - 1) / kAlignment * kAlignment;
  const int64_t begin = std::min(numel, static_cast<int64_t>(part) * aligned);
  return {begin, std::min(numel, begin + aligned)};
}

std::vector<RankRange> SharedCollectives::subtrees_of(size_t host) const {
  std::vector<RankRange> subtrees;
  const auto& ranks = host_ranks(host);
  for (size_t i = 0; i < ranks.size();) {  // runs of neighbours
    size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    for (const RankRange& subtree : subtrees_in({ranks[i], ranks[end - 1] + 1}, group_.size()))
      subtrees.push_back(subtree);
    i = end;
  }
  return subtrees;
}

void SharedCollectives::all_reduce(const Operation& operation, const SharedRange& data,
                                   size_t bytes) {
  const size_t element = element_bytes(operation.type);
  const auto numel = static_cast<int64_t>(bytes / element);
  if (is_one_host()) {
    const Slice slice = slice_of(numel, local_, data.of_rank.size());
    std::vector<Summand> summands;
    std::vector<std::byte*> results;
    for (std::byte* memory : data.of_rank) {
      results.push_back(memory + slice.begin * static_cast<int64_t>(element));
      summands.push_back({results.back()});
    }
    return reduce_in_tree_order(summands, results, slice.size(), operation.type, operation.op);
  }
  size_t num_columns = host_ranks(0).size();
  for (const auto& ranks : group_.hosts) num_columns = std::min(num_columns, ranks.size());
  if (local_ >= num_columns) return;
  const Slice column = slice_of(numel, local_, num_columns);
  for (int64_t begin = column.begin; begin < column.end; begin += kRoundElements)
    reduce_column(operation, data, {begin, std::min(column.end, begin + kRoundElements)});
}

void SharedCollectives::reduce_host(const Operation& operation, const SharedRange& data,
                                    Slice slice, std::byte* result) const {
  const auto element = static_cast<int64_t>(element_bytes(operation.type));
  const auto partial = static_cast<int64_t>(element_bytes(accumulator_type(operation.type)));
  const auto& ranks = host_ranks(host_);
  for (const RankRange& subtree : subtrees_of(host_)) {
    std::vector<Summand> summands;
    for (size_t local = 0; local < ranks.size(); ++local)
      if (subtree.begin <= ranks[local] && ranks[local] < subtree.end)
        summands.push_back({data.of_rank[local] + slice.begin * element});
    reduce_partial(summands, result, slice.size(), operation.type, operation.op);
    result += slice.size() * partial;
  }
}

void SharedCollectives::finish(const Operation& operation,
                               const std::vector<const std::byte*>& partials, int64_t numel,
                               std::byte* result) const {
  const size_t partial = element_bytes(accumulator_type(operation.type));
  std::vector<std::pair<int, Summand>> by_first_rank;
  for (size_t host = 0; host < partials.size(); ++host) {
    const std::byte* data = partials[host];
    for (const RankRange& subtree : subtrees_of(host)) {
      by_first_rank.push_back({subtree.begin, {data, subtree.width(), /*is_partial=*/true}});
      data += static_cast<size_t>(numel) * partial;
    }
  }
  std::sort(by_first_rank.begin(), by_first_rank.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Summand> summands;
  for (const auto& [first, summand] : by_first_rank) summands.push_back(summand);
  std::byte* const results[] = {result};
  reduce_in_tree_order(summands, results, numel, operation.type, operation.op);
}

// One round of steps 1 to 3 for this rank's column.
void SharedCollectives::reduce_column(const Operation& operation, const SharedRange& data,
                                      Slice column) {
  const size_t num_hosts = group_.hosts.size();
  const size_t element = element_bytes(operation.type);
  const size_t partial = element_bytes(accumulator_type(operation.type));
  std::byte* own = data.of_rank[local_];
  const auto piece_of = [&](size_t host) {
    const Slice piece = slice_of(column.size(), host, num_hosts);
    return Slice{column.begin + piece.begin, column.begin + piece.end};
  };
  std::vector<MessageExchange::Piece> send, receive;
  std::vector<const std::byte*> partials(num_hosts);
  const Slice mine = piece_of(host_);
  for (size_t host = 0; host < num_hosts; ++host) {
    const Slice piece = piece_of(host);
    const Bytes sums =
        scratch(host, static_cast<size_t>(piece.size()) * partial * subtrees_of(host_).size());
    reduce_host(operation, data, piece, sums.data);
    if (host == host_) {
      partials[host] = sums.data;
      continue;
    }
    const Bytes theirs = scratch(
        num_hosts + host, static_cast<size_t>(mine.size()) * partial * subtrees_of(host).size());
    partials[host] = theirs.data;
    const int peer = host_ranks(host)[local_];
    send.push_back({peer, sums});
    receive.push_back({peer, theirs});
  }
  messages_.exchange(send, receive);
  const auto bytes_of = [&](Slice slice) {
    return Bytes{own + static_cast<size_t>(slice.begin) * element,
                 static_cast<size_t>(slice.size()) * element, nullptr};
  };
  finish(operation, partials, mine.size(), bytes_of(mine).data);
  send.clear();
  receive.clear();
  for (size_t host = 0; host < num_hosts; ++host) {
    if (host == host_) continue;
    send.push_back({host_ranks(host)[local_], bytes_of(mine)});
    receive.push_back({host_ranks(host)[local_], bytes_of(piece_of(host))});
  }
  messages_.exchange(send, receive);
  const Bytes finished = bytes_of(column);
  for (std::byte* memory : data.of_rank)
    if (memory != own)
      std::memcpy(memory + static_cast<size_t>(column.begin) * element, finished.data,
                  finished.size);
}

// Each part is added up on every host by the rank of the same place as its owner has there, and
// finished by its owner.
void SharedCollectives::reduce_scatter(const Operation& operation, const SharedRange& input,
                                       const Bytes& output) {
  const size_t element = element_bytes(operation.type);
  const size_t partial = element_bytes(accumulator_type(operation.type));
  const auto part_numel = static_cast<int64_t>(output.size / element);
  const auto part_of = [&](int rank) { return Slice{rank * part_numel, (rank + 1) * part_numel}; };
  if (is_one_host()) {
    std::vector<Summand> summands;
    for (std::byte* memory : input.of_rank)
      summands.push_back({memory + static_cast<size_t>(group_.rank) * output.size});
    std::byte* const results[] = {output.data};
    return reduce_in_tree_order(summands, results, part_numel, operation.type, operation.op);
  }
  const auto& mine = host_ranks(host_);
  std::vector<MessageExchange::Piece> send, receive;
  std::vector<const std::byte*> partials(group_.hosts.size());
  size_t next_scratch = 0;
  for (size_t host = 0; host < group_.hosts.size(); ++host) {
    const auto& ranks = host_ranks(host);
    for (size_t local = 0; local < ranks.size(); ++local) {
      const bool is_own = ranks[local] == group_.rank;
      if (host == host_ ? !is_own : local % mine.size() != local_) continue;
      const Bytes sums = scratch(
          next_scratch++, static_cast<size_t>(part_numel) * partial * subtrees_of(host_).size());
      reduce_host(operation, input, part_of(ranks[local]), sums.data);
      if (is_own)
        partials[host_] = sums.data;
      else
        send.push_back({ranks[local], sums});
    }
    if (host == host_) continue;
    const Bytes theirs = scratch(
        next_scratch++, static_cast<size_t>(part_numel) * partial * subtrees_of(host).size());
    partials[host] = theirs.data;
    receive.push_back({ranks[local_ % ranks.size()], theirs});
  }
  messages_.exchange(send, receive);
  finish(operation, partials, part_numel, output.data);
}

// A part goes once to each other host, to the rank of the same place there, which writes it into
// the memory of all ranks of its host.
void SharedCollectives::all_gather(const SharedRange& output, size_t part_bytes) {
  const auto& mine = host_ranks(host_);
  std::byte* own = output.of_rank[local_];
  const auto part = [&](std::byte* memory, int rank) {
    return Bytes{memory + static_cast<size_t>(rank) * part_bytes, part_bytes, nullptr};
  };
  for (size_t local = 0; local < mine.size(); ++local)
    if (local != local_)
      std::memcpy(part(own, mine[local]).data, part(output.of_rank[local], mine[local]).data,
                  part_bytes);
  if (is_one_host()) return;
  std::vector<MessageExchange::Piece> send, receive;
  for (size_t host = 0; host < group_.hosts.size(); ++host) {
    if (host == host_) continue;
    const auto& ranks = host_ranks(host);
    send.push_back({ranks[local_ % ranks.size()], part(own, group_.rank)});
    for (size_t local = 0; local < ranks.size(); ++local)
      if (local % mine.size() == local_) receive.push_back({ranks[local], part(own, ranks[local])});
  }
  messages_.exchange(send, receive);
  for (const auto& [rank, bytes] : receive)
    for (std::byte* memory : output.of_rank)
      if (memory != own) std::memcpy(part(memory, rank).data, bytes.data, bytes.size);
}

void SharedCollectives::broadcast(const Operation& operation, const SharedRange& data,
                                  size_t bytes) {
  TRIGA_CHECK(is_one_host(), "a broadcast over shared memory between hosts");
  const auto& ranks = host_ranks(0);
  const auto root = std::find(ranks.begin(), ranks.end(), operation.root) - ranks.begin();
  std::byte* own = data.of_rank[local_];
  const std::byte* from = data.of_rank[static_cast<size_t>(root)];
  if (own != from) std::memcpy(own, from, bytes);
}

Bytes SharedCollectives::scratch(size_t index, size_t bytes) {
  if (scratch_.size() <= index) scratch_.resize(index + 1);
  if (scratch_[index].size < bytes) scratch_[index] = make_bytes(bytes);
  return scratch_[index].part(0, bytes);
}

}  // namespace triga
