// OperationLedger: what the ranks of a group have begun, for operations before which ranks do not
// tell each other what they mean (NCCL's). Ranks of a host write it into memory that all of them
// see: each numbers its collectives, and its messages to and from each peer, and what stands under
// the same number is compared by whoever has the time.
//
// Ranks of other hosts do not see that memory. They are told of one operation of each kind, the
// first that has not ended (of those that are kept, else the last one), with a digest of all before
// it, and compare that with their own: what fits there fits everywhere before. The first rank of
// the group and the first one of each other host tell each other of the collectives, and the two
// ends of a message of messages. How it gets there is a matter of the caller.
//
// A rank keeps its last 1024 collectives, and 128 messages a peer and direction (1024 where the
// peer is on another host), so that ranks which are ahead of others are still compared. What was
// written over, or is being written, is no difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "comm/begun_operation.h"
#include "comm/communicator.h"
#include "comm/opening.h"
#include "comm/operation_ring.h"
#include "comm/shared_segment.h"

namespace triga {

/// Threads: one thread at a time begins operations, one at a time ends them; any may ask meanwhile.
class OperationLedger {
 public:
  /// A message that this rank has begun to send or to receive.
  struct BegunMessage {
    int peer = 0;  // rank of the group
    bool is_send = false;
    uint64_t number = 0;  // among those of this peer and direction, from 1
  };

  /// Null where ranks of some host cannot open each other's memory, which rank 0 says. Throws:
  /// CommError. Collective.
  static std::unique_ptr<OperationLedger> open(Communicator& group);

  /// This rank begins its next collective: its number, from 1. Stores to shared memory only.
  uint64_t begin(const Operation& operation) noexcept;
  /// The same of a kSend or kReceive. The messages of a group of them are begun one by one. The
  /// first one to a peer on another host, or from it, takes memory.
  BegunMessage begin_message(const Operation& operation, int peer);
  /// It has ended here, and so have all before it. Requires: it was begun.
  void end(uint64_t number) noexcept;
  void end(const std::vector<BegunMessage>& begun) noexcept;

  /// "ranks of group data disagree on what to do next: rank 0 on host a: ...; rank 1 on host a:
  /// ...", of this rank and another one. Of messages, type and number of elements are compared. The
  /// same difference is found again at the next call; what agreed is not looked at twice.
  std::optional<std::string> find_difference();

  /// What ranks of other hosts are to be told of this one; empty where they need nothing of it.
  std::vector<BegunOperation> to_tell() const;
  /// Ranks of the world, on other hosts, whose to_tell() is for this one.
  std::vector<int> to_compare_with() const;
  /// Compares what `world_rank` says with what this rank has begun; the difference, in words: as
  /// above, or that they did not do the same before what both have come to.
  std::optional<std::string> compare(int world_rank, const BegunOperation& theirs) const;

  /// Why an operation that this rank has begun may not be done, in words: who has not begun it.
  std::string missing(uint64_t number) const;
  std::string missing(const std::vector<BegunMessage>& begun) const;

 private:
  struct Rank {
    int world_rank;
    std::string host, name;  // "rank 2 on host a", by its number in the world
    bool is_leader;          // the first of the group on its host
    int local;               // place among the ranks of this host; -1: it is on another one
  };
  struct Compared {  // up to which number, with one other rank
    uint64_t collectives = 0, sends = 0, receives = 0;
  };
  using Sides = std::vector<std::pair<int, std::string>>;  // rank, and what it means to do
  struct alignas(OperationRing::kAlignment) Line {
    std::byte bytes[OperationRing::kAlignment];
  };
  using Messages = std::map<std::pair<int, bool>, std::unique_ptr<Line[]>>;

  OperationLedger(const Communicator& group, uint64_t id, std::vector<Rank> ranks,
                  std::shared_ptr<SharedSegment> segment);
  static size_t bytes_for(int num_local);
  const Rank& at(int rank) const { return ranks_[static_cast<size_t>(rank)]; }
  OperationRing collectives(int rank) const;
  /// Of `rank`, to or from `peer`; both are on this host.
  OperationRing messages(int rank, int peer, bool is_send) const;
  /// Of this rank, to or from `peer` on another host; nothing where there never was one.
  std::optional<OperationRing> far_messages(int peer, bool is_send) const;
  OperationRing far_messages_made(int peer, bool is_send);
  static OperationRing ring_in(const std::unique_ptr<Line[]>& memory);
  std::optional<BegunOperation> current(const OperationRing& ring, int from, int to) const;
  /// The first rank of each opinion, where `peer` differs from this rank.
  Sides sides(const OperationRing::Difference& difference, int peer) const;
  std::string disagreement(const Sides& sides) const;
  std::string in_words(const std::set<int>& absent, const std::set<int>& unseen) const;

  const std::string group_;
  const uint64_t id_;
  const int rank_;
  const std::vector<Rank> ranks_;  // by rank of the group
  std::vector<int> mine_;          // ranks of the group on this host
  const std::shared_ptr<SharedSegment> segment_;

  std::mutex mutex_;                // guards the next line
  std::vector<Compared> compared_;  // by rank of the group
  mutable std::mutex far_mutex_;    // guards the next line
  Messages far_messages_;           // by peer, and whether they are sent
};

}  // namespace triga
