#include "parallel/pipeline/transport.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <set>

#include "parallel/pipeline/wire.h"
#include "triga/error.h"

namespace triga {
namespace {

std::string name_of(const StageMessage& message) {
  return c10::str(message.is_gradient ? "gradients of the outputs" : "inputs", " of stage ",
                  message.to, ", microbatch ", message.microbatch, ", from stage ", message.from);
}

}  // namespace

std::vector<StageMessage> messages_of(const std::vector<Action>& actions,
                                      const std::vector<StageFlow>& flow,
                                      const std::vector<int>& rank_of_stage) {
  std::vector<StageMessage> messages;
  for (const auto& [kind, stage, microbatch] : actions) {
    const StageFlow& of = flow[static_cast<size_t>(stage)];
    const bool is_gradient = kind == ActionKind::kBackward || kind == ActionKind::kBackwardInput;
    if (kind != ActionKind::kForward && !is_gradient) continue;
    for (const StageFlow::Edge& edge : is_gradient ? of.sources : of.readers)
      if (rank_of_stage[static_cast<size_t>(edge.stage)] !=
          rank_of_stage[static_cast<size_t>(stage)])
        messages.push_back({is_gradient, stage, edge.stage, microbatch});
  }
  return messages;
}

// Every rank takes part in making every group, as split() asks.
StageTransport::StageTransport(Communicator& pipeline, const std::vector<StageFlow>& flow,
                               std::vector<int> rank_of_stage)
    : pipeline_(pipeline), flow_(flow), rank_of_stage_(std::move(rank_of_stage)) {
  std::set<std::pair<int, int>> ways;  // from rank, to rank
  for (size_t stage = 0; stage < flow.size(); ++stage)
    for (const StageFlow::Edge& edge : flow[stage].readers) {
      const int from = rank_of_stage_[stage], to = rank_of(edge.stage);
      if (from == to) continue;
      ways.insert({from, to});
      ways.insert({to, from});
    }
  const int rank = pipeline.rank();
  for (const auto& [from, to] : ways) {
    const bool is_mine = rank == from || rank == to;
    // The others are alone: on devices a group costs a set-up.
    auto group = pipeline.split(is_mine ? 0 : 1 + rank, c10::str("pipeline ", from, " to ", to));
    if (!is_mine) continue;
    // In the group ranks keep their order.
    const int peer = group->rank() == 0 ? 1 : 0;
    if (rank == from) {
      outgoing_[to].group = std::move(group);
      outgoing_[to].peer = peer;
    } else {
      incoming_[from].group = std::move(group);
      incoming_[from].peer = peer;
    }
  }
}

void StageTransport::begin(const std::vector<std::vector<StageMessage>>& sent_by) {
  TRIGA_CHECK(inbox_.empty(), "messages of the last step are left");
  for (auto& [rank, way] : incoming_) {
    TRIGA_CHECK(way.expected.empty(), "messages from rank ", rank, " did not come");
    for (const StageMessage& message : sent_by[static_cast<size_t>(rank)])
      if (is_here(message.to)) way.expected.push_back(message);
  }
  poll();
}

const std::vector<std::string>& StageTransport::names_of(const StageMessage& message) const {
  // Gradients go back along the edge of the activations.
  const int source = message.is_gradient ? message.to : message.from;
  const int reader = message.is_gradient ? message.from : message.to;
  for (const StageFlow::Edge& edge : flow_[static_cast<size_t>(reader)].sources)
    if (edge.stage == source) return edge.names;
  throw Error(c10::str("nothing goes from stage ", source, " to stage ", reader));
}

void StageTransport::send(const StageMessage& message, const Activations& tensors) {
  const std::vector<std::string>& names = names_of(message);
  Outgoing& way = outgoing_.at(rank_of(message.to));
  const at::Tensor header = wire_header(tensors, names);
  const std::string what = name_of(message);
  way.works.push_back(way.group->send(header, way.peer, what));
  const at::Tensor bytes = wire_pack(tensors, names, header);
  if (bytes.numel() > 0) way.works.push_back(way.group->send(bytes, way.peer, what));
}

void StageTransport::ask(Incoming& way) {
  if (way.expected.empty() || way.coming) return;
  const auto message = std::make_shared<Message>();
  message->header = at::empty({wire_header_size(names_of(way.expected.front()).size())}, at::kLong);
  const auto make = [message, device = way.group->device()] {
    const int64_t num_bytes = wire_bytes(message->header);
    if (num_bytes > 0)
      message->bytes = at::empty({num_bytes}, at::TensorOptions().dtype(at::kByte).device(device));
    return message->bytes;
  };
  way.coming = message;
  way.work =
      way.group->recv_announced(message->header, make, way.peer, name_of(way.expected.front()));
}

void StageTransport::accept(Incoming& way) {
  const StageMessage message = way.expected.front();
  way.work.wait();
  if (!way.coming->bytes.defined()) way.coming->bytes = at::empty({0}, at::kByte);
  inbox_[message] = wire_unpack(way.coming->bytes, names_of(message), way.coming->header);
  way.expected.pop_front();
  way.coming.reset();
  ask(way);
}

void StageTransport::poll() {
  for (auto& [rank, way] : incoming_) {
    ask(way);
    while (way.coming && way.work.is_done()) accept(way);
  }
  for (auto& [rank, way] : outgoing_)
    while (!way.works.empty() && way.works.front().is_done()) {
      way.works.front().wait();  // throws what went wrong
      way.works.pop_front();
    }
}

Activations StageTransport::receive(const StageMessage& message) {
  Incoming& way = incoming_.at(rank_of(message.from));
  while (!inbox_.contains(message)) {
    TRIGA_CHECK(std::find(way.expected.begin(), way.expected.end(), message) != way.expected.end(),
                name_of(message), " is not sent");
    ask(way);
    accept(way);
  }
  Activations tensors = std::move(inbox_.at(message));
  inbox_.erase(message);
  poll();
  return tensors;
}

void StageTransport::finish() {
  for (auto& [rank, way] : outgoing_) {
    for (Work& work : way.works) work.wait();
    way.works.clear();
  }
}

}  // namespace triga
