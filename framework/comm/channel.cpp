#include "comm/channel.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "comm/operation_queue.h"
#include "comm/reduce.h"

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr auto kStuckAfter = std::chrono::seconds(2);  // past the deadline
constexpr size_t kPieceBytes =
    size_t{1} << 20;  // of a rank in one round of a reduction; bounds the scratch memory
constexpr size_t kMessageBytes = size_t{1} << 30;  // MPI counts with int

// Waiting costs little processor time, which the computation of this rank needs: at first the
// thread offers its core to others, then it sleeps.
class Backoff {
 public:
  void pause() {
    if (++num_pauses_ < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(num_pauses_ < 200 ? 20 : 100));
    }
  }

 private:
  int num_pauses_ = 0;
};

Bytes make_bytes(size_t size) {
  const std::shared_ptr<std::byte[]> memory(new std::byte[size]);
  return {memory.get(), size, memory};
}

void copy(const Bytes& from, const Bytes& to) {
  if (from.data != to.data && from.size > 0) std::memcpy(to.data, from.data, from.size);
}

const Bytes kNothing{};

}  // namespace

Channel::Channel(std::shared_ptr<Fabric> fabric, std::shared_ptr<ProgressTable> table, Group group,
                 ProgressStream stream)
    : fabric_(std::move(fabric)),
      table_(std::move(table)),
      group_(std::move(group)),
      stream_(stream),
      openings_(make_bytes(2 * group_.ranks.size() * kOpeningBytes)) {}

// Collectives.

void Channel::all_reduce(const Operation& operation, const Bytes& data) {
  run(operation, label_of(operation), [&] {
    const bool is_inline = data.size <= kInlineBytes;
    const auto openings = open(operation, [&](int) { return is_inline ? data : kNothing; });
    if (is_inline) {
      std::vector<const std::byte*> sources;
      for (const auto& opening : openings) sources.push_back(opening.payload());
      reduce_in_rank_order(sources, data.data, operation.numel, operation.type, operation.op);
      return;
    }
    const size_t element = data.size / operation.numel;
    const size_t round_bytes = kPieceBytes * group_.size();
    for (size_t begin = 0; begin < data.size; begin += round_bytes) {
      const size_t round = std::min(round_bytes, data.size - begin);
      const size_t most =
          (round / element + group_.size() - 1) / group_.size() * element;  // of one rank
      const PieceOf piece = [&](int rank) {
        const size_t from = std::min(rank * most, round);
        return data.part(begin + from, std::min(most, round - from));
      };
      reduce_pieces(operation, piece, piece(group_.rank));
      exchange([&](int) { return piece(group_.rank); }, piece);
    }
  });
}

void Channel::reduce_scatter(const Operation& operation, const Bytes& input, const Bytes& output) {
  run(operation, label_of(operation), [&] {
    const bool is_inline = output.size <= kInlineBytes;
    const PieceOf part = [&](int rank) { return input.part(rank * output.size, output.size); };
    const auto openings =
        open(operation, [&](int peer) { return is_inline ? part(peer) : kNothing; });
    if (is_inline) {
      std::vector<const std::byte*> sources;
      for (const auto& opening : openings) sources.push_back(opening.payload());
      reduce_in_rank_order(sources, output.data, operation.numel, operation.type, operation.op);
      return;
    }
    for (size_t begin = 0; begin < output.size; begin += kPieceBytes) {
      const size_t round = std::min(kPieceBytes, output.size - begin);
      const PieceOf piece = [&](int rank) { return part(rank).part(begin, round); };
      reduce_pieces(operation, piece, output.part(begin, round));
    }
  });
}

void Channel::all_gather(const Operation& operation, const Bytes& input, const Bytes& output) {
  run(operation, label_of(operation), [&] {
    const bool is_inline = input.size <= kInlineBytes;
    const PieceOf part = [&](int rank) { return output.part(rank * input.size, input.size); };
    const auto openings = open(operation, [&](int) { return is_inline ? input : kNothing; });
    copy(input, part(group_.rank));
    if (!is_inline) return exchange([&](int) { return input; }, part);
    for (int rank = 0; rank < group_.size(); ++rank)
      if (rank != group_.rank) copy({openings[rank].payload(), input.size, nullptr}, part(rank));
  });
}

// Large tensors: the root gives each rank one part, then all ranks give their parts to each other.
void Channel::broadcast(const Operation& operation, const Bytes& data) {
  run(operation, label_of(operation), [&] {
    const bool is_root = group_.rank == operation.root;
    const bool is_inline = data.size <= kInlineBytes;
    const auto openings =
        open(operation, [&](int) { return is_root && is_inline ? data : kNothing; });
    if (is_inline) {
      if (!is_root) copy({openings[operation.root].payload(), data.size, nullptr}, data);
      return;
    }
    const size_t most = (data.size + group_.size() - 1) / group_.size();
    const PieceOf piece = [&](int rank) {
      const size_t from = std::min(rank * most, data.size);
      return data.part(from, std::min(most, data.size - from));
    };
    exchange([&](int peer) { return is_root ? piece(peer) : kNothing; },
             [&](int peer) { return peer == operation.root ? piece(group_.rank) : kNothing; });
    exchange([&](int peer) { return peer == operation.root ? kNothing : piece(group_.rank); },
             [&](int peer) { return is_root ? kNothing : piece(peer); });
  });
}

void Channel::barrier(const Operation& operation) {
  run(operation, label_of(operation), [&] { open(operation, [](int) { return kNothing; }); });
}

std::vector<std::string> Channel::gather_texts(const Operation& operation,
                                               const std::string& text) {
  std::vector<std::string> texts(group_.size());
  run(operation, label_of(operation), [&] {
    Bytes own = make_bytes(text.size());
    std::memcpy(own.data, text.data(), text.size());
    const auto openings =
        open(operation, [&](int) { return own.size <= kInlineBytes ? own : kNothing; });
    std::vector<Bytes> large(group_.size());  // that did not fit into the opening
    for (int rank = 0; rank < group_.size(); ++rank) {
      const size_t size = openings[rank].header().numel;
      if (rank == group_.rank)
        texts[rank] = text;
      else if (size <= kInlineBytes)
        texts[rank].assign(reinterpret_cast<const char*>(openings[rank].payload()), size);
      else
        large[rank] = make_bytes(size);
    }
    exchange([&](int) { return own.size > kInlineBytes ? own : kNothing; },
             [&](int peer) { return large[peer]; });
    for (int rank = 0; rank < group_.size(); ++rank)
      if (large[rank].size > 0)
        texts[rank].assign(reinterpret_cast<const char*>(large[rank].data), large[rank].size);
  });
  return texts;
}

void Channel::call(const Operation& operation, const std::function<void()>& function) {
  run(operation, label_of(operation), [&] {
    OperationQueue thread("triga-call", [] { return false; });
    const auto prepared = OperationQueue::prepare();
    thread.start(prepared, function);
    Work work = OperationQueue::work_of(prepared);
    wait([&] { return work.is_done(); },
         [&] {
           std::string others;
           for (const int rank : group_.ranks)
             if (rank != group_.ranks[group_.rank])
               others += (others.empty() ? "" : "; ") + table_->whereabouts(rank);
           return others;
         });
    work.wait();  // throws what it threw
  });
}

// Point to point.

void Channel::transfer(const std::vector<Transfer>& transfers) {
  if (transfers.empty()) return;
  std::string label;
  for (const auto& [peer, operation, bytes] : transfers)
    label += c10::str(label.empty() ? "" : ", ", name_of(operation),
                      operation.kind == OperationKind::kSend ? " to " : " from ", "rank ", peer);
  run(transfers[0].operation, c10::str(label, " (group ", group_.name, ")"), [&] {
    std::vector<Pending> pending;
    std::vector<Arrival> arrivals;
    std::vector<OpeningView> openings;  // of what is sent
    for (const Transfer& transfer : transfers) {
      OpeningView opening(make_bytes(kOpeningBytes));
      if (transfer.operation.kind == OperationKind::kReceive) {
        arrivals.push_back({&transfer, opening, {}});
        post(arrivals.back().announcement, transfer.peer, false, true,
             opening.message(kInlineBytes));
        continue;
      }
      const bool is_inline = transfer.bytes.size <= kInlineBytes;
      opening.write(transfer.operation, is_inline ? transfer.bytes : kNothing);
      post(pending, transfer.peer, true, true,
           opening.message(is_inline ? transfer.bytes.size : 0));
      if (!is_inline) post(pending, transfer.peer, true, false, transfer.bytes);
    }
    const auto all_done = [&] {
      accept(arrivals, pending);
      std::erase_if(pending, [](const Pending& one) { return one.message->is_done(); });
      return arrivals.empty() && pending.empty();
    };
    wait(all_done, [&] {
      return arrivals.empty() ? missing_peers(pending)
                              : missing_peers(arrivals.front().announcement);
    });
  });
}

// Takes what was announced: the payload lies behind the opening, or is received now. Of one peer in
// order, since payloads follow each other in the order of their openings.
void Channel::accept(std::vector<Arrival>& arrivals, std::vector<Pending>& pending) {
  std::vector<bool> is_waiting(group_.size(), false);  // for an earlier one of this peer
  std::erase_if(arrivals, [&](Arrival& arrival) {
    const auto& [peer, operation, bytes] = *arrival.transfer;
    if (is_waiting[peer] || !arrival.announcement[0].message->is_done()) {
      is_waiting[peer] = true;
      return false;
    }
    OpeningView own(make_bytes(kOpeningBytes));
    own.write(operation, kNothing);
    if (!is_same(arrival.opening.header(), own.header()))
      fail(disagreement({{group_.rank, own.header()}, {peer, arrival.opening.header()}}));
    if (bytes.size <= kInlineBytes)
      copy({arrival.opening.payload(), bytes.size, nullptr}, bytes);
    else
      post(pending, peer, false, false, bytes);
    return true;
  });
}

// What all operations are made of.

void Channel::run(const Operation& operation, const std::string& label,
                  const std::function<void()>& body) {
  label_ = label;
  operation_ = operation;
  deadline_ = Clock::now() + operation.deadline;
  const int rank = group_.ranks[group_.rank];
  table_->begin_operation(rank, stream_, label);
  body();
  table_->end_operation(rank,
                        stream_);  // after an error the table goes on saying where this rank was
  deadline_ = Clock::time_point::max();
}

std::string Channel::label_of(const Operation& operation) {
  return c10::str(name_of(operation), " (operation ", ++sequence_, " of group ", group_.name, ")");
}

std::vector<OpeningView> Channel::open(const Operation& operation, const PieceOf& inline_payload) {
  const int size = group_.size();
  std::vector<OpeningView> heard;  // by rank
  std::vector<Pending> to_hear, to_say;
  for (int rank = 0; rank < size; ++rank) {
    heard.emplace_back(openings_.part(rank * kOpeningBytes, kOpeningBytes));
    if (rank != group_.rank) post(to_hear, rank, false, true, heard[rank].message(kInlineBytes));
  }
  heard[group_.rank].write(operation, inline_payload(group_.rank));
  for (int step = 1; step < size; ++step) {  // not all to the same rank first
    const int peer = (group_.rank + step) % size;
    const Bytes payload = inline_payload(peer);
    OpeningView said(openings_.part((size + peer) * kOpeningBytes, kOpeningBytes));
    said.write(operation, payload);
    post(to_say, peer, true, true, said.message(payload.size));
  }
  complete(to_hear);
  check_agreement(heard);  // now: a rank that means something else may never hear this one
  complete(to_say);
  return heard;
}

void Channel::check_agreement(const std::vector<OpeningView>& openings) {
  std::vector<std::pair<int, Opening>> sides;  // the first rank of each opinion
  for (int rank = 0; rank < group_.size(); ++rank) {
    const Opening header = openings[rank].header();
    const auto agrees = [&](const auto& side) {
      return is_same(side.second, header) && side.second.kind == header.kind;
    };
    if (std::none_of(sides.begin(), sides.end(), agrees)) sides.emplace_back(rank, header);
  }
  if (sides.size() > 1) fail(disagreement(sides));
}

// Every rank gives each rank its piece; `result` becomes the reduction of the pieces for this rank.
void Channel::reduce_pieces(const Operation& operation, const PieceOf& pieces,
                            const Bytes& result) {
  if (const size_t needed = (group_.size() - 1) * result.size; scratch_.size < needed)
    scratch_ = make_bytes(needed);
  const auto slot = [&](int peer) {
    return scratch_.part((peer < group_.rank ? peer : peer - 1) * result.size, result.size);
  };
  exchange(pieces, slot);
  std::vector<const std::byte*> sources;
  for (int rank = 0; rank < group_.size(); ++rank)
    sources.push_back(rank == group_.rank ? pieces(rank).data : slot(rank).data);
  const auto element = static_cast<int64_t>(elementSize(operation.type));
  reduce_in_rank_order(sources, result.data, static_cast<int64_t>(result.size) / element,
                       operation.type, operation.op);
}

void Channel::exchange(const PieceOf& send_to, const PieceOf& receive_from) {
  std::vector<Pending> pending;
  for (int step = 1; step < group_.size(); ++step) {
    const int from = (group_.rank + group_.size() - step) % group_.size();
    const int to = (group_.rank + step) % group_.size();
    post(pending, from, false, false, receive_from(from));
    post(pending, to, true, false, send_to(to));
  }
  complete(pending);
}

void Channel::post(std::vector<Pending>& pending, int peer, bool is_send, bool is_opening,
                   const Bytes& bytes) {
  const int tag = (group_.id * 2 + static_cast<int>(stream_)) * 2 + (is_opening ? 0 : 1);
  const int rank = group_.ranks[peer];
  for (size_t begin = 0; begin < bytes.size; begin += kMessageBytes) {
    const Bytes part = bytes.part(begin, std::min(kMessageBytes, bytes.size - begin));
    pending.push_back(
        {peer, is_send,
         is_send ? fabric_->send(rank, tag, part) : fabric_->receive(rank, tag, part)});
  }
}

// Waiting, and its ends.

void Channel::complete(std::vector<Pending>& pending) {
  const auto all_done = [&] {
    std::erase_if(pending, [](const Pending& one) { return one.message->is_done(); });
    return pending.empty();
  };
  wait(all_done, [&] { return missing_peers(pending); });
}

void Channel::wait(const std::function<bool()>& is_done,
                   const std::function<std::string()>& missing) {
  Backoff backoff;
  auto next_look = Clock::now() + kLookEvery;
  while (!is_done()) {
    if (cancelled_)
      throw CommError(c10::str(label_, " was given up: its communicator was destroyed"));
    backoff.pause();
    if (Clock::now() < next_look) continue;
    look_around(missing);
    next_look = Clock::now() + kLookEvery;
  }
}

void Channel::look_around(const std::function<std::string()>& missing) {
  if (const auto failure = table_->find_failure(group_.ranks[group_.rank], group_.ranks))
    fail(*failure);
  if (Clock::now() < deadline_.load()) return;
  std::string absent = missing();
  for (const int rank : group_.ranks)  // a stopped rank may be why the missing ones are late
    if (const auto where = table_->whereabouts(rank);
        table_->is_stopped(rank) && absent.find(where) == std::string::npos)
      absent += "; and " + where;
  fail(c10::str(label_, " was not done at step ", operation_.step, " within ",
                static_cast<double>(operation_.deadline.count()) / 1000.0,
                " s; missing: ", absent));
}

bool Channel::is_stuck() const {
  const auto deadline = deadline_.load();
  return deadline != Clock::time_point::max() && Clock::now() > deadline + kStuckAfter;
}

void Channel::fail(const std::string& diagnosis) {
  const int rank = group_.ranks[group_.rank];
  table_->mark_failed(rank, diagnosis, ExitStatus::kCommunication);
  throw CommError(c10::str(diagnosis, "\n", table_->name_of(rank), " noticed it at step ",
                           operation_.step, " in ", label_, ". Where every rank was:\n",
                           table_->to_text()));
}

std::string Channel::missing_peers(const std::vector<Pending>& pending) const {
  const bool only_sends =
      std::all_of(pending.begin(), pending.end(), [](const Pending& one) { return one.is_send; });
  std::vector<bool> is_missing(group_.size(), false);
  for (const Pending& one : pending)
    if (!one.is_send || only_sends) is_missing[one.peer] = true;
  std::string text;
  for (int rank = 0; rank < group_.size(); ++rank)
    if (is_missing[rank])
      text += (text.empty() ? "" : "; ") + table_->whereabouts(group_.ranks[rank]);
  return text;
}

std::string Channel::disagreement(const std::vector<std::pair<int, Opening>>& sides) const {
  std::string text = c10::str("ranks of group ", group_.name, " disagree on what to do next: ");
  for (const auto& [rank, opening] : sides)
    text += c10::str(&opening == &sides[0].second ? "" : "; ", table_->name_of(group_.ranks[rank]),
                     ": ", to_text(opening));
  return text;
}

}  // namespace triga
