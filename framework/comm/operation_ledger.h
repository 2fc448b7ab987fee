// OperationLedger: what the ranks of a group have begun, for operations before which ranks do not
// tell each other what they mean (NCCL's). Ranks of a host write it into memory that all of them
// see: each numbers its collectives, and its messages to and from each peer, and what stands under
// the same number is compared by whoever has the time. Ranks of other hosts are not seen.
//
// A rank keeps its last 1024 collectives, and 128 messages a peer and direction, so that ranks which
// are ahead of others are still compared. What was written over, or is being written, is no
// difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "comm/opening.h"
#include "comm/shared_segment.h"

namespace triga {

/// Threads: one thread at a time begins operations; any thread may ask meanwhile.
class OperationLedger {
 public:
  /// A message that this rank has begun to send or to receive.
  struct Begun {
    int peer = 0;  // rank of the group
    bool is_send = false;
    uint64_t number = 0;  // among those of this peer and direction, from 1; 0: of another host
  };

  /// Null where ranks of some host cannot open each other's memory, which rank 0 says. Throws:
  /// CommError. Collective.
  static std::unique_ptr<OperationLedger> open(Communicator& group);

  /// This rank begins its next collective: its number, from 1. Stores to shared memory only.
  uint64_t begin(const Operation& operation) noexcept;
  /// The same of a kSend or kReceive. The messages of a group of them are begun one by one.
  Begun begin_message(const Operation& operation, int peer) noexcept;

  /// "ranks of group data disagree on what to do next: rank 0 on host a: ...; rank 1 on host a:
  /// ...", of this rank and another one. Of messages, type and number of elements are compared. The
  /// same difference is found again at the next call; what agreed is not looked at twice.
  std::optional<std::string> find_difference();

  /// Why an operation that this rank has begun may not be done, in words: who has not begun it.
  std::string missing(uint64_t number) const;
  std::string missing(const std::vector<Begun>& begun) const;

 private:
  struct Rank {
    std::string name;  // "rank 2 on host a", by its number in the world
    std::string host;
    int local;  // place among the ranks of this host; -1: it is on another one
  };
  struct Compared {  // up to which number, with one other rank
    uint64_t collectives = 0, sends = 0, receives = 0;
  };
  struct Difference;
  class Ring;
  using Sides = std::vector<std::pair<int, Opening>>;

  OperationLedger(const Communicator& group, std::vector<Rank> ranks,
                  std::shared_ptr<SharedSegment> segment);
  static size_t bytes_for(int num_local);
  Ring collectives(int rank) const;
  /// Of `rank`, to or from `peer`.
  Ring messages(int rank, int peer, bool is_send) const;
  /// The first rank of each opinion, where `peer` differs from this rank.
  Sides sides(const Difference& difference, int peer) const;
  std::string disagreement(const Sides& sides) const;
  std::string in_words(const std::set<int>& absent, const std::set<int>& unseen) const;

  const std::string group_;
  const int rank_;
  const std::vector<Rank> ranks_;  // by rank of the group
  std::vector<int> mine_;          // ranks of the group on this host
  const std::shared_ptr<SharedSegment> segment_;

  std::mutex mutex_;                // guards what follows
  std::vector<Compared> compared_;  // by rank of the group
};

}  // namespace triga
