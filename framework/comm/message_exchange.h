// MessageExchange: what the operations of a group are made of when they go over messages of a
// fabric: openings to all peers, direct exchanges of pieces, point-to-point transfers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/fabric.h"
#include "comm/group.h"
#include "comm/opening.h"
#include "comm/watch.h"

namespace triga {

/// One end of a point-to-point message.
struct Transfer {
  int peer = 0;         // rank of the group
  Operation operation;  // kSend or kReceive
  Bytes bytes;
};

Bytes make_bytes(size_t size);

class MessageExchange {
 public:
  MessageExchange(std::shared_ptr<Fabric> fabric, const Group& group, ProgressStream stream,
                  Watch& watch);

  /// Tells all peers and hears from all: what each rank said, by rank, with its payload.
  /// `check`: called with it before this rank waits for its own words to be heard, since a rank
  /// that means something else may never hear them.
  std::vector<OpeningView> open(const Operation& operation, const Bytes& payload,
                                const std::function<void(const std::vector<OpeningView>&)>& check);

  /// A piece of memory that goes to, or comes from, a rank of the group. Empty ones are left out.
  struct Piece {
    int peer;
    Bytes bytes;
  };
  /// All at once. Pieces between two ranks keep their order.
  void exchange(const std::vector<Piece>& send, const std::vector<Piece>& receive);

  using Disagree = std::function<void(int peer, const Opening& own, const Opening& theirs)>;
  /// All at once, in any order. `disagree`: ends the run when two ends do not fit. `still_waiting`:
  /// called now and then with a peer whose message has not come.
  void transfer(const std::vector<Transfer>& transfers, const Disagree& disagree,
                const std::function<void(int peer)>& still_waiting);

 private:
  struct Pending {
    int peer;
    bool is_send;
    std::unique_ptr<Message> message;
  };
  struct Arrival {  // a message that is to be received
    const Transfer* transfer;
    OpeningView opening;
    std::vector<Pending> announcement;  // the opening under way
  };

  void accept(std::vector<Arrival>& arrivals, std::vector<Pending>& pending,
              const Disagree& disagree);
  void post(std::vector<Pending>& pending, int peer, bool is_send, bool is_opening,
            const Bytes& bytes);
  void complete(std::vector<Pending>& pending);
  std::string missing_peers(const std::vector<Pending>& pending) const;

  const std::shared_ptr<Fabric> fabric_;
  const Group& group_;
  const ProgressStream stream_;
  Watch& watch_;
  Bytes openings_;  // outgoing, then incoming, one a rank
};

}  // namespace triga
