// Channel: blocking operations of a group of ranks over point-to-point messages of a fabric. A
// communicator has two: one for data, run by its communication thread, and one for control, run by
// the caller (the host channel).
//
// Every collective opens with a short message to every peer that says what this rank is about to do
// (and carries the payload when it is small). So every rank sees at once when ranks disagree, and
// says who does what. Larger payloads follow by direct exchange: each rank reduces its part in rank
// order and gives the result to the others, so sums are the same to the bit on all ranks and do not
// depend on how data was cut into operations.
//
// While a rank waits it drives its messages and looks every 50 ms whether the run has failed
// (progress_table.h).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/fabric.h"
#include "comm/opening.h"
#include "comm/progress_table.h"

namespace triga {

/// Who takes part in a communicator.
struct Group {
  std::string name;        // "world", "data"
  std::vector<int> ranks;  // of the fabric, by rank of the group
  int rank = 0;            // own, in the group
  int id = 0;              // any two groups that have two ranks in common differ in it

  int size() const { return static_cast<int>(ranks.size()); }
};

/// One end of a point-to-point message.
struct Transfer {
  int peer = 0;         // rank of the group
  Operation operation;  // kSend or kReceive
  Bytes bytes;
};

class Channel {
 public:
  Channel(std::shared_ptr<Fabric> fabric, std::shared_ptr<ProgressTable> table, Group group,
          ProgressStream stream);

  // Each returns when the operation is done on this rank. Throws: CommError; the channel can then
  // only be destroyed.

  void all_reduce(const Operation& operation, const Bytes& data);
  void reduce_scatter(const Operation& operation, const Bytes& input, const Bytes& output);
  void all_gather(const Operation& operation, const Bytes& input, const Bytes& output);
  void broadcast(const Operation& operation, const Bytes& data);
  void barrier(const Operation& operation);
  /// Texts may differ in length; of a kBroadcastText only the root's travels.
  std::vector<std::string> gather_texts(const Operation& operation, const std::string& text);
  /// A collective of the fabric that blocks and cannot be cancelled: it runs in a thread of its
  /// own, which is left behind when the wait for it fails.
  void call(const Operation& operation, const std::function<void()>& function);
  /// All at once, in any order.
  void transfer(const std::vector<Transfer>& transfers);

  /// The operation that runs (maybe in another thread), and any later one, ends with a CommError.
  void cancel() { cancelled_ = true; }
  /// Is an operation so long past its deadline that the fabric itself must be stuck? For a caller
  /// in another thread.
  bool is_stuck() const;

  const Group& group() const { return group_; }

 private:
  using Clock = std::chrono::steady_clock;
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
  /// The piece of memory that goes to, or comes from, a peer; empty: nothing.
  using PieceOf = std::function<Bytes(int peer)>;

  void run(const Operation& operation, const std::string& label, const std::function<void()>& body);
  std::string label_of(const Operation& operation);
  /// Tells all peers and hears from all; gives what each rank said, by rank. Throws when they
  /// disagree.
  std::vector<OpeningView> open(const Operation& operation, const PieceOf& inline_payload);
  void check_agreement(const std::vector<OpeningView>& openings);
  void reduce_pieces(const Operation& operation, const PieceOf& pieces, const Bytes& result);
  void exchange(const PieceOf& send_to, const PieceOf& receive_from);

  void accept(std::vector<Arrival>& arrivals, std::vector<Pending>& pending);

  void post(std::vector<Pending>& pending, int peer, bool is_send, bool is_opening,
            const Bytes& bytes);
  void complete(std::vector<Pending>& pending);
  void wait(const std::function<bool()>& is_done, const std::function<std::string()>& missing);
  void look_around(const std::function<std::string()>& missing);
  [[noreturn]] void fail(const std::string& diagnosis);
  std::string missing_peers(const std::vector<Pending>& pending) const;
  std::string disagreement(const std::vector<std::pair<int, Opening>>& sides) const;

  const std::shared_ptr<Fabric> fabric_;
  const std::shared_ptr<ProgressTable> table_;
  const Group group_;
  const ProgressStream stream_;
  std::atomic<bool> cancelled_{false};
  std::atomic<Clock::time_point> deadline_{Clock::time_point::max()};  // of the operation that runs

  // Of the operation that runs.
  int64_t sequence_ = 0;  // how many collectives were begun
  std::string label_;
  Operation operation_;
  Bytes openings_;  // outgoing, then incoming, one a rank
  Bytes scratch_;
};

}  // namespace triga
