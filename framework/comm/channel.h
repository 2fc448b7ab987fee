// Channel: blocking operations of a group of ranks. A communicator has two: one for data, run by
// its communication thread, and one for control, run by the caller (the host channel).
//
// Every collective opens with a word to all peers that says what this rank is about to do (and
// carries the payload when it is small), so every rank sees at once when ranks disagree, and says
// who does what. Ranks that share a host say it on a board in shared memory, others in messages.
// Larger payloads follow: in place where all ranks gave shared buffers (shared_collectives.h), else
// by direct exchange of messages, each rank reducing its part and giving the result to the others.
// Sums are the same to the bit either way (reduce.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/group.h"
#include "comm/host_board.h"
#include "comm/message_exchange.h"
#include "comm/shared_buffers.h"
#include "comm/shared_collectives.h"
#include "comm/watch.h"

namespace triga {

/// What a rank shares with the others of its host. Null members: nothing.
struct HostMemory {
  std::shared_ptr<HostBoard> board;
  std::shared_ptr<SharedBuffers> buffers;
};

class Channel {
 public:
  Channel(std::shared_ptr<Fabric> fabric, std::shared_ptr<ProgressTable> table, Group group,
          HostMemory host, ProgressStream stream, std::shared_ptr<TracePointer> trace);

  // Each returns when the operation is done on this rank. Throws: CommError; the channel can then
  // only be destroyed.

  void all_reduce(Operation operation, const Bytes& data);
  void reduce_scatter(Operation operation, const Bytes& input, const Bytes& output);
  void all_gather(Operation operation, const Bytes& input, const Bytes& output);
  void broadcast(Operation operation, const Bytes& data);
  void barrier(const Operation& operation);
  /// Texts may differ in length; of a kBroadcastText only the root's travels.
  std::vector<std::string> gather_texts(const Operation& operation, const std::string& text);
  /// A collective of the fabric that blocks and cannot be cancelled: it runs in a thread of its
  /// own, which is left behind when the wait for it fails.
  void call(const Operation& operation, const std::function<void()>& function);
  /// All at once, in any order.
  void transfer(const std::vector<Transfer>& transfers);

  /// See Watch.
  void set_waiters(Watch::Waiters waiters) { watch_.set_waiters(std::move(waiters)); }
  /// From any thread: see Watch.
  void cancel() { watch_.cancel(); }
  bool is_stuck() const { return watch_.is_stuck(); }

  const Group& group() const { return group_; }

 private:
  void run(const Operation& operation, const std::function<void()>& body);
  uint64_t place_of(const Bytes& bytes) const;
  /// Tells all peers and hears from all; what each rank said, by rank, until this rank's next
  /// operation. Throws when they disagree.
  std::vector<OpeningView> open(const Operation& operation, const Bytes& payload);
  void check_agreement(const std::vector<OpeningView>& openings);
  /// Whether all ranks gave the same place of a shared buffer: they have given it to this
  /// operation, which may write to it at once.
  bool begins_in_shared_memory(const std::vector<OpeningView>& openings);
  /// Tells the board that this rank is here, and waits for all of this host.
  void meet();
  void say_waiting(int peer, const std::vector<Transfer>& transfers);
  void look_for_messages();

  void reduce_by_messages(const Operation& operation, const Bytes& data);
  /// `pieces(rank)`: of this rank's tensor, for each rank; `result`: the reduction of this rank's.
  void reduce_pieces(const Operation& operation, const std::function<Bytes(int)>& pieces,
                     const Bytes& result);
  /// Sends send_to(peer) to each peer, and fills receive_from(peer) from each; not all to the same
  /// rank first.
  void exchange(const std::function<Bytes(int)>& send_to,
                const std::function<Bytes(int)>& receive_from);
  std::string disagreement(const std::vector<std::pair<int, Opening>>& sides) const;

  const std::shared_ptr<Fabric> fabric_;
  const std::shared_ptr<ProgressTable> table_;
  const Group group_;
  const HostMemory host_;
  const std::vector<int> mine_;  // ranks of the group on this host
  const ProgressStream stream_;
  Watch watch_;
  MessageExchange messages_;
  SharedCollectives shared_;
  int64_t sequence_ = 0;  // how many collectives were begun
  Bytes scratch_;
};

}  // namespace triga
