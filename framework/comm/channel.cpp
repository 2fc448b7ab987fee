#include "comm/channel.h"

#include <algorithm>
#include <cstring>

#include "comm/operation_queue.h"
#include "comm/reduce.h"

namespace triga {
namespace {

constexpr auto kLongestSleep = std::chrono::milliseconds(50);
constexpr size_t kPieceBytes =
    size_t{1} << 20;  // of a rank in one round of a reduction; bounds the scratch memory

void copy(const Bytes& from, const Bytes& to) {
  if (from.data != to.data && from.size > 0) std::memcpy(to.data, from.data, from.size);
}

const Bytes kNothing{};

std::vector<Summand> payloads_of(const std::vector<OpeningView>& openings) {
  std::vector<Summand> summands;
  for (const OpeningView& opening : openings) summands.push_back({opening.payload()});
  return summands;
}

}  // namespace

Channel::Channel(std::shared_ptr<Fabric> fabric, std::shared_ptr<ProgressTable> table, Group group,
                 HostMemory host, ProgressStream stream, std::shared_ptr<TracePointer> trace)
    : fabric_(std::move(fabric)),
      table_(std::move(table)),
      group_(std::move(group)),
      host_(std::move(host)),
      mine_(own_host(group_)),
      stream_(stream),
      watch_(table_, group_, stream, std::move(trace)),
      messages_(fabric_, group_, stream, watch_),
      shared_(group_, messages_) {}

// Collectives.

void Channel::all_reduce(Operation operation, const Bytes& data) {
  operation.place = place_of(data);
  run(operation, [&] {
    const bool is_inline = data.size <= kInlineBytes;
    const auto openings = open(operation, is_inline ? data : kNothing);
    if (is_inline) {
      std::byte* const results[] = {data.data};
      return reduce_in_tree_order(payloads_of(openings), results, operation.numel, operation.type,
                                  operation.op);
    }
    if (!begins_in_shared_memory(openings)) return reduce_by_messages(operation, data);
    shared_.all_reduce(operation, host_.buffers->range_of(data), data.size);
    meet();
  });
}

void Channel::reduce_by_messages(const Operation& operation, const Bytes& data) {
  const auto size = static_cast<size_t>(group_.size());
  const size_t element = elementSize(operation.type);
  const size_t round_bytes = kPieceBytes * size;
  for (size_t begin = 0; begin < data.size; begin += round_bytes) {
    const size_t round = std::min(round_bytes, data.size - begin);
    const size_t most = (round / element + size - 1) / size * element;  // of one rank
    const auto piece = [&](int rank) {
      const size_t from = std::min(static_cast<size_t>(rank) * most, round);
      return data.part(begin + from, std::min(most, round - from));
    };
    reduce_pieces(operation, piece, piece(group_.rank));
    exchange([&](int) { return piece(group_.rank); }, piece);
  }
}

void Channel::reduce_scatter(Operation operation, const Bytes& input, const Bytes& output) {
  operation.place = place_of(input);
  run(operation, [&] {
    const bool is_inline = input.size <= kInlineBytes;
    const auto openings = open(operation, is_inline ? input : kNothing);
    const auto part = [&](int rank) {
      return input.part(static_cast<size_t>(rank) * output.size, output.size);
    };
    if (is_inline) {
      auto summands = payloads_of(openings);
      for (Summand& summand : summands)
        summand.data += static_cast<size_t>(group_.rank) * output.size;
      std::byte* const results[] = {output.data};
      return reduce_in_tree_order(summands, results, operation.numel, operation.type, operation.op);
    }
    if (begins_in_shared_memory(openings)) {
      shared_.reduce_scatter(operation, host_.buffers->range_of(input), output);
      return meet();
    }
    for (size_t begin = 0; begin < output.size; begin += kPieceBytes) {
      const size_t round = std::min(kPieceBytes, output.size - begin);
      reduce_pieces(
          operation, [&](int rank) { return part(rank).part(begin, round); },
          output.part(begin, round));
    }
  });
}

void Channel::all_gather(Operation operation, const Bytes& input, const Bytes& output) {
  operation.place = place_of(output);
  run(operation, [&] {
    const auto part = [&](int rank) {
      return output.part(static_cast<size_t>(rank) * input.size, input.size);
    };
    copy(input, part(group_.rank));
    const bool is_inline = input.size <= kInlineBytes;
    const auto openings = open(operation, is_inline ? input : kNothing);
    if (is_inline) {
      for (int rank = 0; rank < group_.size(); ++rank)
        if (rank != group_.rank)
          copy({openings[static_cast<size_t>(rank)].payload(), input.size, nullptr}, part(rank));
      return;
    }
    if (!begins_in_shared_memory(openings)) return exchange([&](int) { return input; }, part);
    shared_.all_gather(host_.buffers->range_of(output), input.size);
    meet();
  });
}

// Large tensors: the root gives each rank one part, then all ranks give their parts to each other.
void Channel::broadcast(Operation operation, const Bytes& data) {
  operation.place = group_.hosts.size() == 1 ? place_of(data) : 0;
  run(operation, [&] {
    const bool is_root = group_.rank == operation.root;
    const bool is_inline = data.size <= kInlineBytes;
    const auto openings = open(operation, is_root && is_inline ? data : kNothing);
    if (is_inline) {
      const OpeningView& root = openings[static_cast<size_t>(operation.root)];
      if (!is_root) copy({root.payload(), data.size, nullptr}, data);
      return;
    }
    if (begins_in_shared_memory(openings)) {
      shared_.broadcast(operation, host_.buffers->range_of(data), data.size);
      return meet();
    }
    const size_t most =
        (data.size + static_cast<size_t>(group_.size()) - 1) / static_cast<size_t>(group_.size());
    const auto piece = [&](int rank) {
      const size_t from = std::min(static_cast<size_t>(rank) * most, data.size);
      return data.part(from, std::min(most, data.size - from));
    };
    exchange([&](int peer) { return is_root ? piece(peer) : kNothing; },
             [&](int peer) { return peer == operation.root ? piece(group_.rank) : kNothing; });
    exchange([&](int peer) { return peer == operation.root ? kNothing : piece(group_.rank); },
             [&](int peer) { return is_root ? kNothing : piece(peer); });
  });
}

void Channel::barrier(const Operation& operation) {
  run(operation, [&] { open(operation, kNothing); });
}

std::vector<std::string> Channel::gather_texts(const Operation& operation,
                                               const std::string& text) {
  std::vector<std::string> texts(group_.ranks.size());
  run(operation, [&] {
    Bytes own = make_bytes(text.size());
    std::memcpy(own.data, text.data(), text.size());
    const auto openings = open(operation, own.size <= kInlineBytes ? own : kNothing);
    std::vector<Bytes> large(group_.ranks.size());  // that did not fit into the opening
    for (size_t rank = 0; rank < texts.size(); ++rank) {
      const auto size = static_cast<size_t>(openings[rank].header().numel);
      if (rank == static_cast<size_t>(group_.rank))
        texts[rank] = text;
      else if (size <= kInlineBytes)
        texts[rank].assign(reinterpret_cast<const char*>(openings[rank].payload()), size);
      else
        large[rank] = make_bytes(size);
    }
    exchange([&](int) { return own.size > kInlineBytes ? own : kNothing; },
             [&](int peer) { return large[static_cast<size_t>(peer)]; });
    for (size_t rank = 0; rank < texts.size(); ++rank)
      if (large[rank].size > 0)
        texts[rank].assign(reinterpret_cast<const char*>(large[rank].data), large[rank].size);
  });
  return texts;
}

void Channel::call(const Operation& operation, const std::function<void()>& function) {
  run(operation, [&] {
    OperationQueue thread("triga-call", [] { return false; });
    const auto prepared = OperationQueue::prepare();
    thread.start(prepared, function);
    Work work = OperationQueue::work_of(prepared);
    const auto others = [&] {
      std::string text;
      for (int rank = 0; rank < group_.size(); ++rank)
        if (rank != group_.rank) text += (text.empty() ? "" : "; ") + watch_.whereabouts(rank);
      return text;
    };
    watch_.wait({.is_done = [&] { return work.is_done(); },
                 .missing = others,
                 .pause = nullptr,
                 .look = nullptr});
    work.wait();  // throws what it threw
  });
}

void Channel::transfer(const std::vector<Transfer>& transfers) {
  if (transfers.empty()) return;
  std::string label;
  for (const auto& [peer, operation, bytes] : transfers)
    label += c10::str(label.empty() ? "" : ", ", name_of(operation),
                      operation.kind == OperationKind::kSend ? " to " : " from ", "rank ", peer);
  watch_.run(transfers[0].operation, c10::str(label, " (group ", group_.name, ")"), [&] {
    messages_.transfer(
        transfers,
        [&](int peer, const Opening& own, const Opening& theirs) {
          watch_.fail(disagreement({{group_.rank, own}, {peer, theirs}}));
        },
        [&](int peer) { say_waiting(peer, transfers); });
    say_waiting(-1, transfers);
  });
}

// What collectives are made of.

void Channel::run(const Operation& operation, const std::function<void()>& body) {
  const std::string label =
      c10::str(name_of(operation), " (operation ", ++sequence_, " of group ", group_.name, ")");
  watch_.run(operation, label, body);
}

uint64_t Channel::place_of(const Bytes& bytes) const {
  return host_.buffers == nullptr ? 0 : host_.buffers->place_of(bytes);
}

std::vector<OpeningView> Channel::open(const Operation& operation, const Bytes& payload) {
  const auto check = [&](const auto& openings) { check_agreement(openings); };
  if (host_.board == nullptr || group_.hosts.size() > 1)
    return messages_.open(operation, payload, check);
  host_.board->mine(stream_).write(operation, payload);
  meet();
  std::vector<OpeningView> openings;
  for (int rank = 0; rank < group_.size(); ++rank)
    openings.push_back(host_.board->of(stream_, rank));
  check_agreement(openings);
  return openings;
}

void Channel::meet() {
  if (host_.board == nullptr) return;  // alone on this host
  HostBoard& board = *host_.board;
  fabric_->before_shared_step();
  board.arrive(stream_);
  const auto missing = [&] {
    std::string text;
    for (size_t local = 0; local < mine_.size(); ++local)
      if (!board.has_arrived(stream_, static_cast<int>(local)))
        text += (text.empty() ? "" : "; ") + watch_.whereabouts(mine_[local]);
    return text;
  };
  watch_.wait({.is_done = [&] { return board.have_all_arrived(stream_); },
               .missing = missing,
               .pause = [&] { board.wait_for_arrivals(stream_, kLongestSleep); },
               .look = [&] { look_for_messages(); }});
}

// Of a rank that waits for a message while others wait for it in a collective: on the same host the
// board tells, so that such a pair is an error at once and not after the deadline.
void Channel::say_waiting(int peer, const std::vector<Transfer>& transfers) {
  if (host_.board == nullptr) return;
  const auto place = std::find(mine_.begin(), mine_.end(), peer);
  const auto transfer = std::find_if(transfers.begin(), transfers.end(),
                                     [&](const Transfer& one) { return one.peer == peer; });
  if (place == mine_.end() || transfer == transfers.end())
    return host_.board->wait_for_message(stream_, -1, {});
  host_.board->wait_for_message(stream_, static_cast<int>(place - mine_.begin()),
                                transfer->operation);
}

void Channel::look_for_messages() {
  HostBoard& board = *host_.board;
  for (size_t local = 0; local < mine_.size(); ++local) {
    const int rank = static_cast<int>(local);
    if (board.has_arrived(stream_, rank)) continue;
    const auto theirs = board.waits_for_me(stream_, rank);
    if (!theirs) continue;
    OpeningView own(make_bytes(kOpeningBytes));
    own.write(watch_.operation(), kNothing);
    watch_.fail(disagreement({{group_.rank, own.header()}, {mine_[local], *theirs}}));
  }
}

bool Channel::begins_in_shared_memory(const std::vector<OpeningView>& openings) {
  const uint64_t place = openings[0].header().place;
  const bool agree =
      place != 0 && std::all_of(openings.begin(), openings.end(), [&](const OpeningView& one) {
        return one.header().place == place;
      });
  if (agree) fabric_->before_shared_step();
  return agree;
}

void Channel::check_agreement(const std::vector<OpeningView>& openings) {
  std::vector<std::pair<int, Opening>> sides;  // the first rank of each opinion
  for (int rank = 0; rank < group_.size(); ++rank) {
    const Opening header = openings[static_cast<size_t>(rank)].header();
    const auto agrees = [&](const auto& side) {
      return is_same(side.second, header) && side.second.kind == header.kind;
    };
    if (std::none_of(sides.begin(), sides.end(), agrees)) sides.emplace_back(rank, header);
  }
  if (sides.size() > 1) watch_.fail(disagreement(sides));
}

void Channel::reduce_pieces(const Operation& operation, const std::function<Bytes(int)>& pieces,
                            const Bytes& result) {
  const auto size = static_cast<size_t>(group_.size());
  if (const size_t needed = (size - 1) * result.size; scratch_.size < needed)
    scratch_ = make_bytes(needed);
  const auto slot = [&](int peer) {
    return scratch_.part(static_cast<size_t>(peer < group_.rank ? peer : peer - 1) * result.size,
                         result.size);
  };
  exchange(pieces, slot);
  std::vector<Summand> summands;
  for (int rank = 0; rank < group_.size(); ++rank)
    summands.push_back({rank == group_.rank ? pieces(rank).data : slot(rank).data});
  const auto numel = static_cast<int64_t>(result.size / elementSize(operation.type));
  std::byte* const results[] = {result.data};
  reduce_in_tree_order(summands, results, numel, operation.type, operation.op);
}

void Channel::exchange(const std::function<Bytes(int)>& send_to,
                       const std::function<Bytes(int)>& receive_from) {
  std::vector<MessageExchange::Piece> send, receive;
  for (int step = 1; step < group_.size(); ++step) {
    const int from = (group_.rank + group_.size() - step) % group_.size();
    const int to = (group_.rank + step) % group_.size();
    receive.push_back({from, receive_from(from)});
    send.push_back({to, send_to(to)});
  }
  messages_.exchange(send, receive);
}

std::string Channel::disagreement(const std::vector<std::pair<int, Opening>>& sides) const {
  std::string text = c10::str("ranks of group ", group_.name, " disagree on what to do next: ");
  for (const auto& [rank, opening] : sides)
    text += c10::str(&opening == &sides[0].second ? "" : "; ", watch_.name_of(rank), ": ",
                     to_text(opening));
  return text;
}

}  // namespace triga
