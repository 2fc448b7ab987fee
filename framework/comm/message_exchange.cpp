#include "comm/message_exchange.h"

#include <algorithm>
#include <cstring>

namespace triga {
namespace {

constexpr size_t kMessageBytes = size_t{1} << 30;  // MPI counts with int

const Bytes kNothing{};

}  // namespace

Bytes make_bytes(size_t size) {
  const std::shared_ptr<std::byte[]> memory(new std::byte[size]);
  return {memory.get(), size, memory};
}

MessageExchange::MessageExchange(std::shared_ptr<Fabric> fabric, const Group& group,
                                 ProgressStream stream, Watch& watch)
    : fabric_(std::move(fabric)),
      group_(group),
      stream_(stream),
      watch_(watch),
      openings_(make_bytes(2 * group_.ranks.size() * kOpeningBytes)) {}

std::vector<OpeningView> MessageExchange::open(
    const Operation& operation, const Bytes& payload,
    const std::function<void(const std::vector<OpeningView>&)>& check) {
  const int size = group_.size();
  std::vector<OpeningView> heard;  // by rank
  std::vector<Pending> to_hear, to_say;
  for (int rank = 0; rank < size; ++rank) {
    heard.emplace_back(openings_.part(rank * kOpeningBytes, kOpeningBytes));
    if (rank != group_.rank) post(to_hear, rank, false, true, heard[rank].message(kInlineBytes));
  }
  heard[group_.rank].write(operation, payload);
  for (int step = 1; step < size; ++step) {  // not all to the same rank first
    const int peer = (group_.rank + step) % size;
    OpeningView said(openings_.part((size + peer) * kOpeningBytes, kOpeningBytes));
    said.write(operation, payload);
    post(to_say, peer, true, true, said.message(payload.size));
  }
  complete(to_hear);
  check(heard);
  complete(to_say);
  return heard;
}

void MessageExchange::exchange(const std::vector<Piece>& send, const std::vector<Piece>& receive) {
  std::vector<Pending> pending;
  for (const auto& [peer, bytes] : receive) post(pending, peer, false, false, bytes);
  for (const auto& [peer, bytes] : send) post(pending, peer, true, false, bytes);
  complete(pending);
}

void MessageExchange::transfer(const std::vector<Transfer>& transfers, const Disagree& disagree,
                               const std::function<void(int peer)>& still_waiting) {
  std::vector<Pending> pending;
  std::vector<Arrival> arrivals;
  for (const Transfer& transfer : transfers) {
    OpeningView opening(make_bytes(kOpeningBytes));
    if (transfer.operation.kind == OperationKind::kReceive) {
      arrivals.push_back({&transfer, opening, {}});
      post(arrivals.back().announcement, transfer.peer, false, true, opening.message(kInlineBytes));
      continue;
    }
    const bool is_inline = transfer.bytes.size <= kInlineBytes;
    opening.write(transfer.operation, is_inline ? transfer.bytes : kNothing);
    post(pending, transfer.peer, true, true, opening.message(is_inline ? transfer.bytes.size : 0));
    if (!is_inline) post(pending, transfer.peer, true, false, transfer.bytes);
  }
  const auto all_done = [&] {
    accept(arrivals, pending, disagree);
    std::erase_if(pending, [](const Pending& one) { return one.message->is_done(); });
    return arrivals.empty() && pending.empty();
  };
  const auto first_missing = [&]() -> const std::vector<Pending>& {
    return arrivals.empty() ? pending : arrivals.front().announcement;
  };
  const auto wait_until = [&](const std::function<bool()>& is_done) {
    watch_.wait({.is_done = is_done,
                 .missing = [&] { return missing_peers(first_missing()); },
                 .pause = nullptr,
                 .look = [&] { still_waiting(first_missing().front().peer); }});
  };
  // In two waits, since what is announced comes at once, however long the announcement took.
  wait_until([&] { return all_done() || arrivals.empty(); });
  wait_until(all_done);
}

// Takes what was announced: the payload lies behind the opening, or is received now. Of one peer in
// order, since payloads follow each other in the order of their openings.
void MessageExchange::accept(std::vector<Arrival>& arrivals, std::vector<Pending>& pending,
                             const Disagree& disagree) {
  std::vector<bool> is_waiting(group_.ranks.size(), false);  // for an earlier one of this peer
  std::erase_if(arrivals, [&](Arrival& arrival) {
    const auto& [peer, operation, bytes] = *arrival.transfer;
    if (is_waiting[peer] || !arrival.announcement[0].message->is_done()) {
      is_waiting[peer] = true;
      return false;
    }
    OpeningView own(make_bytes(kOpeningBytes));
    own.write(operation, kNothing);
    if (!is_same(arrival.opening.header(), own.header()))
      disagree(peer, own.header(), arrival.opening.header());
    if (bytes.size > kInlineBytes)
      post(pending, peer, false, false, bytes);
    else if (bytes.size > 0)
      std::memcpy(bytes.data, arrival.opening.payload(), bytes.size);
    return true;
  });
}

void MessageExchange::post(std::vector<Pending>& pending, int peer, bool is_send, bool is_opening,
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

void MessageExchange::complete(std::vector<Pending>& pending) {
  const auto all_done = [&] {
    std::erase_if(pending, [](const Pending& one) { return one.message->is_done(); });
    return pending.empty();
  };
  watch_.wait({.is_done = all_done,
               .missing = [&] { return missing_peers(pending); },
               .pause = nullptr,
               .look = nullptr});
}

std::string MessageExchange::missing_peers(const std::vector<Pending>& pending) const {
  const bool only_sends =
      std::all_of(pending.begin(), pending.end(), [](const Pending& one) { return one.is_send; });
  std::vector<bool> is_missing(group_.ranks.size(), false);
  for (const Pending& one : pending)
    if (!one.is_send || only_sends) is_missing[one.peer] = true;
  std::string text;
  for (int rank = 0; rank < group_.size(); ++rank)
    if (is_missing[rank]) text += (text.empty() ? "" : "; ") + watch_.whereabouts(rank);
  return text;
}

}  // namespace triga
