#include "comm/operation_ledger.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "comm/host.h"
#include "comm/said_problem.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr uint64_t kCollectives = 1024;  // of a rank
constexpr uint64_t kMessages = 128;      // of a rank, a peer and a direction
constexpr size_t kLine = 64;             // bytes of a cache line
constexpr size_t kWords = sizeof(Opening) / sizeof(uint64_t);
static_assert(sizeof(Opening) % sizeof(uint64_t) == 0);

/// Made by rank `maker`, opened by the others of its host. All ranks have it, or none.
std::shared_ptr<SharedSegment> share_memory(Communicator& group, int maker, size_t bytes) {
  const bool is_maker = group.rank() == maker;
  std::shared_ptr<SharedSegment> segment;
  const auto problem = make_and_open(
      is_maker, !is_maker,
      [&](const std::string& text, bool is_open) {
        return group.all_gather_text(text, is_open ? "ledgers are open" : "addresses of ledgers");
      },
      [&] {
        segment = SharedSegment::create(bytes);
        return segment->address();
      },
      [&](const std::vector<std::string>& addresses) {
        segment = SharedSegment::open(addresses[static_cast<size_t>(maker)], bytes);
      });
  if (!problem) return segment;
  if (group.rank() == 0)
    log_warning("comm", *problem, "; that ranks of group ", group.name(),
                " disagree is noticed by the deadline only");
  return nullptr;
}

/// As it is compared with what other ranks say.
Opening opening_of(const Operation& operation) noexcept {
  Opening opening{};
  OpeningView({reinterpret_cast<std::byte*>(&opening), sizeof(opening), nullptr})
      .write(operation, {});
  return opening;
}

/// Do the two ends of a message fit?
bool fit(const Opening& a, const Opening& b) {
  return a.type == b.type && a.numel == b.numel;
}

}  // namespace

struct OperationLedger::Difference {
  uint64_t number;
  Opening own, theirs;
};

/// The last operations of one kind that a rank has begun, in shared memory.
class OperationLedger::Ring {
  // All atomics, all zero at the start.
  struct alignas(kLine) Count {
    std::atomic<uint64_t> num_begun;
  };
  struct alignas(kLine) Entry {
    std::atomic<uint64_t> number;  // 0: being written
    std::array<std::atomic<uint64_t>, kWords> words;
  };

 public:
  Ring(std::byte* memory, uint64_t capacity)
      : count_(reinterpret_cast<Count*>(memory)),
        entries_(reinterpret_cast<Entry*>(memory + sizeof(Count))),
        capacity_(capacity) {}

  static size_t bytes_for(uint64_t capacity) { return sizeof(Count) + capacity * sizeof(Entry); }

  uint64_t num_begun() const { return count_->num_begun.load(std::memory_order_acquire); }

  /// Its number.
  uint64_t add(const Opening& opening) noexcept {
    const uint64_t number = count_->num_begun.load(std::memory_order_relaxed) + 1;
    std::array<uint64_t, kWords> words;
    std::memcpy(words.data(), &opening, sizeof(opening));
    Entry& entry = entry_of(number);
    entry.number.store(0, std::memory_order_relaxed);
    for (size_t i = 0; i < kWords; ++i)
      entry.words[i].store(words[i], std::memory_order_release);  // keeps the 0 before it
    entry.number.store(number, std::memory_order_release);
    count_->num_begun.store(number, std::memory_order_release);
    return number;
  }

  /// Nothing where it was written over, or is being written.
  std::optional<Opening> read(uint64_t number) const {
    const Entry& entry = entry_of(number);
    if (entry.number.load(std::memory_order_acquire) != number) return std::nullopt;
    std::array<uint64_t, kWords> words;
    for (size_t i = 0; i < kWords; ++i) words[i] = entry.words[i].load(std::memory_order_acquire);
    if (entry.number.load(std::memory_order_relaxed) != number) return std::nullopt;
    Opening opening;
    std::memcpy(&opening, words.data(), sizeof(opening));
    return opening;
  }

  /// The first number after `compared` under which the two do not agree; moves `compared` to the
  /// last one before it.
  template <class Agree>
  std::optional<Difference> compare(const Ring& other, uint64_t& compared, Agree agree) const {
    const uint64_t mine = num_begun(), theirs = other.num_begun();
    const uint64_t ahead = std::max(mine, theirs), last = std::min(mine, theirs);
    const uint64_t gone = ahead - std::min(ahead, capacity_);
    for (uint64_t number = std::max(compared, gone) + 1; number <= last; ++number) {
      const auto one = read(number), another = other.read(number);
      if (one && another && !agree(*one, *another)) return Difference{number, *one, *another};
      compared = number;
    }
    return std::nullopt;
  }

 private:
  Entry& entry_of(uint64_t number) const { return entries_[(number - 1) % capacity_]; }

  Count* count_;
  Entry* entries_;
  uint64_t capacity_;
};

std::unique_ptr<OperationLedger> OperationLedger::open(Communicator& group) {
  const auto places = group.all_gather_text(
      c10::str(group.progress().rank(), " ", group.host(group.rank()), " ", process_space()),
      "places of ranks");
  const auto space_of = [&](int rank) {
    const std::string& place = places[static_cast<size_t>(rank)];
    return place.substr(place.find(' '));
  };
  std::vector<Rank> ranks;
  int maker = -1, num_local = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    const bool is_here = space_of(rank) == space_of(group.rank());
    if (is_here && maker < 0) maker = rank;
    ranks.push_back({c10::str("rank ", std::stoi(places[static_cast<size_t>(rank)]), " on host ",
                              group.host(rank)),
                     group.host(rank), is_here ? num_local++ : -1});
  }
  auto segment = share_memory(group, maker, bytes_for(num_local));
  if (segment == nullptr) return nullptr;
  return std::unique_ptr<OperationLedger>(
      new OperationLedger(group, std::move(ranks), std::move(segment)));
}

OperationLedger::OperationLedger(const Communicator& group, std::vector<Rank> ranks,
                                 std::shared_ptr<SharedSegment> segment)
    : group_(group.name()),
      rank_(group.rank()),
      ranks_(std::move(ranks)),
      segment_(std::move(segment)),
      compared_(ranks_.size()) {
  for (size_t rank = 0; rank < ranks_.size(); ++rank)
    if (ranks_[rank].local >= 0) mine_.push_back(static_cast<int>(rank));
}

// By rank of this host: its collectives; then by rank, peer and direction: messages. Memory is taken
// where it is written: of a pair that sends nothing, none.
size_t OperationLedger::bytes_for(int num_local) {
  const auto num_ranks = static_cast<size_t>(num_local);
  return num_ranks * Ring::bytes_for(kCollectives) +
         2 * num_ranks * num_ranks * Ring::bytes_for(kMessages);
}

OperationLedger::Ring OperationLedger::collectives(int rank) const {
  const auto local = static_cast<size_t>(ranks_[static_cast<size_t>(rank)].local);
  return {segment_->data() + local * Ring::bytes_for(kCollectives), kCollectives};
}

OperationLedger::Ring OperationLedger::messages(int rank, int peer, bool is_send) const {
  const auto from = static_cast<size_t>(ranks_[static_cast<size_t>(rank)].local);
  const auto to = static_cast<size_t>(ranks_[static_cast<size_t>(peer)].local);
  const size_t index = 2 * (from * mine_.size() + to) + (is_send ? 1 : 0);
  const size_t begin = mine_.size() * Ring::bytes_for(kCollectives);
  return {segment_->data() + begin + index * Ring::bytes_for(kMessages), kMessages};
}

uint64_t OperationLedger::begin(const Operation& operation) noexcept {
  return collectives(rank_).add(opening_of(operation));
}

OperationLedger::Begun OperationLedger::begin_message(const Operation& operation,
                                                      int peer) noexcept {
  Begun begun{peer, operation.kind == OperationKind::kSend, 0};
  if (ranks_[static_cast<size_t>(peer)].local >= 0)
    begun.number = messages(rank_, peer, begun.is_send).add(opening_of(operation));
  return begun;
}

std::optional<std::string> OperationLedger::find_difference() {
  const std::lock_guard lock(mutex_);
  for (const int peer : mine_) {
    if (peer == rank_) continue;
    Compared& compared = compared_[static_cast<size_t>(peer)];
    if (const auto found =
            collectives(rank_).compare(collectives(peer), compared.collectives, is_same))
      return disagreement(sides(*found, peer));
    for (const bool is_send : {true, false}) {
      const Ring theirs = messages(peer, rank_, !is_send);
      if (const auto found =
              messages(rank_, peer, is_send)
                  .compare(theirs, is_send ? compared.sends : compared.receives, fit))
        return disagreement({{rank_, found->own}, {peer, found->theirs}});
    }
  }
  return std::nullopt;
}

OperationLedger::Sides OperationLedger::sides(const Difference& difference, int peer) const {
  Sides sides;
  for (const int rank : mine_) {
    std::optional<Opening> said;
    if (rank == rank_)
      said = difference.own;
    else if (rank == peer)
      said = difference.theirs;
    else
      said = collectives(rank).read(difference.number);
    const auto agrees = [&](const auto& side) { return is_same(side.second, *said); };
    if (said && std::none_of(sides.begin(), sides.end(), agrees)) sides.emplace_back(rank, *said);
  }
  return sides;
}

std::string OperationLedger::disagreement(const Sides& sides) const {
  std::string text = c10::str("ranks of group ", group_, " disagree on what to do next: ");
  for (const auto& [rank, opening] : sides)
    text += c10::str(&opening == &sides[0].second ? "" : "; ",
                     ranks_[static_cast<size_t>(rank)].name, ": ", to_text(opening));
  return text;
}

std::string OperationLedger::missing(uint64_t number) const {
  std::set<int> absent, unseen;
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) {
    if (ranks_[static_cast<size_t>(rank)].local < 0)
      unseen.insert(rank);
    else if (collectives(rank).num_begun() < number)
      absent.insert(rank);
  }
  return in_words(absent, unseen);
}

std::string OperationLedger::missing(const std::vector<Begun>& begun) const {
  std::set<int> absent, unseen;
  for (const auto& [peer, is_send, number] : begun) {
    if (ranks_[static_cast<size_t>(peer)].local < 0)
      unseen.insert(peer);
    else if (messages(peer, rank_, !is_send).num_begun() < number)
      absent.insert(peer);
  }
  return in_words(absent, unseen);
}

std::string OperationLedger::in_words(const std::set<int>& absent,
                                      const std::set<int>& unseen) const {
  std::string text;
  for (const int rank : absent)
    text += (text.empty() ? "" : ", ") + ranks_[static_cast<size_t>(rank)].name;
  if (!absent.empty()) return text + (absent.size() == 1 ? " has" : " have") + " not begun it";
  if (unseen.empty()) return "all ranks have begun it, so it hangs";
  std::set<std::string> hosts;  // own one: of processes that are not seen from here
  for (const int rank : unseen) hosts.insert(ranks_[static_cast<size_t>(rank)].host);
  for (const std::string& host : hosts) text += (text.empty() ? "host " : ", host ") + host;
  return c10::str("all that are seen from host ", ranks_[static_cast<size_t>(rank_)].host,
                  " have begun it: ranks on ", text, " may be missing, or it hangs");
}

}  // namespace triga
