// StageTransport: messages between the stages of this rank and those of others. Each way between two
// ranks is a group of its own, so messages of one way keep their order and do not wait for those of
// another, and all of them move in communication threads while this rank computes.
//
// Both ends know the schedule, so the receiver knows what comes next on each way, and begins to
// receive it before it is needed: the header and, as long as that says, the bytes behind it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/schedule.h"

namespace triga {

/// Activations of a microbatch from one stage to another, or their gradients on the way back.
struct StageMessage {
  bool is_gradient = false;
  int from = 0, to = 0;  // stages
  int microbatch = 0;
  auto operator<=>(const StageMessage&) const = default;
};

/// What a rank's list of actions sends, in order. `flow`: by stage.
std::vector<StageMessage> messages_of(const std::vector<Action>& actions,
                                      const std::vector<StageFlow>& flow,
                                      const std::vector<int>& rank_of_stage);

class StageTransport {
 public:
  /// `pipeline`: the ranks that share a model; it and `flow` must outlive the transport. Collective.
  StageTransport(Communicator& pipeline, const std::vector<StageFlow>& flow,
                 std::vector<int> rank_of_stage);

  /// The messages of a step, by the rank that sends them; those of microbatches without samples are
  /// left out on both sides.
  void begin(const std::vector<std::vector<StageMessage>>& sent_by);

  /// Returns at once; the tensors are kept until they are sent.
  void send(const StageMessage& message, const Activations& tensors);
  /// Waits for it. Undefined tensors stay undefined. Throws: CommError that names stage and
  /// microbatch.
  Activations receive(const StageMessage& message);
  /// Gets on with what comes, without waiting.
  void poll();
  /// Until everything sent is gone.
  void finish();

  bool is_here(int stage) const { return rank_of(stage) == pipeline_.rank(); }

 private:
  struct Message {
    at::Tensor header, bytes;
  };
  /// One way from another rank.
  struct Incoming {
    std::unique_ptr<Communicator> group;
    int peer = 0;  // in the group
    std::deque<StageMessage> expected;
    std::shared_ptr<Message> coming;  // expected.front(), once it was asked for
    Work work;
  };
  struct Outgoing {
    std::unique_ptr<Communicator> group;
    int peer = 0;
    std::deque<Work> works;  // that were not done when last looked at
  };

  int rank_of(int stage) const { return rank_of_stage_[static_cast<size_t>(stage)]; }
  const std::vector<std::string>& names_of(const StageMessage& message) const;
  /// Asks for the message at the front of a way.
  void ask(Incoming& way);
  /// Puts it into the inbox; waits for it.
  void accept(Incoming& way);

  Communicator& pipeline_;
  const std::vector<StageFlow>& flow_;
  const std::vector<int> rank_of_stage_;
  std::map<int, Incoming> incoming_;  // by rank
  std::map<int, Outgoing> outgoing_;  // by rank
  std::map<StageMessage, Activations> inbox_;
};

}  // namespace triga
