#include "comm/operation_ledger.h"

#include <algorithm>
#include <array>
#include <random>
#include <sstream>

#include "base/hash.h"
#include "comm/host.h"
#include "comm/said_problem.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr uint64_t kCollectives = 1024;  // of a rank
constexpr uint64_t kMessages = 128;      // of a rank, a peer and a direction
constexpr uint64_t kFarMessages = 1024;  // the same, of a peer on another host

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

/// What the two ends of a message must agree on.
std::array<uint64_t, 2> compared(const Opening& opening) {
  return {opening.type, static_cast<uint64_t>(opening.numel)};
}
bool fit(const Opening& a, const Opening& b) {
  return compared(a) == compared(b);
}
uint64_t digest_of_message(const Opening& opening) {
  return hash(compared(opening));
}

/// Another one in each group of each run.
uint64_t random_id() {
  std::random_device random;
  return (static_cast<uint64_t>(random()) << 32) | random();
}

}  // namespace

std::unique_ptr<OperationLedger> OperationLedger::open(Communicator& group) {
  const auto places = group.all_gather_text(
      c10::str(group.rank() == 0 ? random_id() : 0, " ", group.progress().rank(), " ",
               group.host(group.rank()), " ", process_space()),
      "places of ranks");
  uint64_t id = 0;
  std::vector<int> world_ranks;
  std::vector<std::string> spaces;
  for (const std::string& place : places) {
    std::istringstream text(place);
    uint64_t one_id = 0;  // rank 0's, else 0
    int world_rank = 0;
    text >> one_id >> world_rank;
    id |= one_id;
    world_ranks.push_back(world_rank);
    spaces.push_back(place.substr(static_cast<size_t>(text.tellg())));
  }
  const std::string& own_space = spaces[static_cast<size_t>(group.rank())];
  std::vector<Rank> ranks;
  int maker = -1, num_local = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    const auto place = spaces.begin() + rank;
    const bool is_here = *place == own_space;
    if (is_here && maker < 0) maker = rank;
    const int world_rank = world_ranks[static_cast<size_t>(rank)];
    const std::string& host = group.host(rank);
    ranks.push_back({world_rank, host, c10::str("rank ", world_rank, " on host ", host),
                     std::find(spaces.begin(), place, *place) == place,
                     is_here ? num_local++ : -1});
  }
  auto segment = share_memory(group, maker, bytes_for(num_local));
  if (segment == nullptr) return nullptr;
  return std::unique_ptr<OperationLedger>(
      new OperationLedger(group, id, std::move(ranks), std::move(segment)));
}

OperationLedger::OperationLedger(const Communicator& group, uint64_t id, std::vector<Rank> ranks,
                                 std::shared_ptr<SharedSegment> segment)
    : group_(group.name()),
      id_(id),
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
  return num_ranks * OperationRing::bytes_for(kCollectives) +
         2 * num_ranks * num_ranks * OperationRing::bytes_for(kMessages);
}

OperationRing OperationLedger::collectives(int rank) const {
  const auto local = static_cast<size_t>(at(rank).local);
  return {segment_->data() + local * OperationRing::bytes_for(kCollectives), kCollectives};
}

OperationRing OperationLedger::messages(int rank, int peer, bool is_send) const {
  const auto from = static_cast<size_t>(at(rank).local);
  const auto to = static_cast<size_t>(at(peer).local);
  const size_t index = 2 * (from * mine_.size() + to) + (is_send ? 1 : 0);
  const size_t begin = mine_.size() * OperationRing::bytes_for(kCollectives);
  return {segment_->data() + begin + index * OperationRing::bytes_for(kMessages), kMessages};
}

std::optional<OperationRing> OperationLedger::far_messages(int peer, bool is_send) const {
  const std::lock_guard lock(far_mutex_);
  const auto found = far_messages_.find({peer, is_send});
  return found == far_messages_.end() ? std::nullopt : std::optional(ring_in(found->second));
}

OperationRing OperationLedger::far_messages_made(int peer, bool is_send) {
  const std::lock_guard lock(far_mutex_);
  auto found = far_messages_.find({peer, is_send});
  if (found == far_messages_.end()) {
    auto memory = std::make_unique<Line[]>(OperationRing::bytes_for(kFarMessages) / sizeof(Line));
    found = far_messages_.emplace(std::pair(peer, is_send), std::move(memory)).first;
  }
  return ring_in(found->second);
}

OperationRing OperationLedger::ring_in(const std::unique_ptr<Line[]>& memory) {
  return {reinterpret_cast<std::byte*>(memory.get()), kFarMessages};
}

uint64_t OperationLedger::begin(const Operation& operation) noexcept {
  const Opening opening = opening_of(operation);
  return collectives(rank_).add(opening, digest_of(opening));
}

OperationLedger::BegunMessage OperationLedger::begin_message(const Operation& operation, int peer) {
  const bool is_send = operation.kind == OperationKind::kSend;
  OperationRing ring =
      at(peer).local >= 0 ? messages(rank_, peer, is_send) : far_messages_made(peer, is_send);
  const Opening opening = opening_of(operation);
  return {peer, is_send, ring.add(opening, digest_of_message(opening))};
}

void OperationLedger::end(uint64_t number) noexcept {
  collectives(rank_).end(number);
}

void OperationLedger::end(const std::vector<BegunMessage>& begun) noexcept {
  for (const auto& [peer, is_send, number] : begun)
    if (at(peer).local < 0) far_messages(peer, is_send)->end(number);
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
      const OperationRing theirs = messages(peer, rank_, !is_send);
      if (const auto found =
              messages(rank_, peer, is_send)
                  .compare(theirs, is_send ? compared.sends : compared.receives, fit))
        return disagreement({{rank_, to_text(found->own)}, {peer, to_text(found->theirs)}});
    }
  }
  return std::nullopt;
}

std::vector<int> OperationLedger::to_compare_with() const {
  std::set<int> ranks;
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank)
    if (at(rank).local < 0 && at(rank).is_leader && at(rank_).is_leader &&
        (rank_ == 0 || rank == 0))
      ranks.insert(at(rank).world_rank);
  const std::lock_guard lock(far_mutex_);
  for (const auto& [key, memory] : far_messages_) ranks.insert(at(key.first).world_rank);
  return {ranks.begin(), ranks.end()};
}

/// Nothing: none was begun, or it is being written over.
std::optional<BegunOperation> OperationLedger::current(const OperationRing& ring, int from,
                                                       int to) const {
  const uint64_t number = ring.current();
  const auto entry = ring.read(number);
  if (!entry) return std::nullopt;
  return BegunOperation{
      id_, from, to, number, entry->before, entry->digest, to_text(entry->opening)};
}

std::vector<BegunOperation> OperationLedger::to_tell() const {
  std::vector<BegunOperation> told;
  const auto add = [&](const OperationRing& ring, int from, int to) {
    if (auto one = current(ring, from, to)) told.push_back(std::move(*one));
  };
  if (at(rank_).is_leader && mine_.size() < ranks_.size()) add(collectives(rank_), -1, -1);
  const std::lock_guard lock(far_mutex_);
  for (const auto& [key, memory] : far_messages_) {
    const auto& [peer, is_send] = key;
    add(ring_in(memory), is_send ? rank_ : peer, is_send ? peer : rank_);
  }
  return told;
}

std::optional<std::string> OperationLedger::compare(int world_rank,
                                                    const BegunOperation& theirs) const {
  const auto said = std::find_if(ranks_.begin(), ranks_.end(),
                                 [&](const Rank& one) { return one.world_rank == world_rank; });
  if (theirs.group != id_ || said == ranks_.end()) return std::nullopt;
  const auto peer = static_cast<int>(said - ranks_.begin());
  std::optional<OperationRing> ring;
  if (theirs.from < 0)
    ring = collectives(rank_);
  else if (theirs.from == rank_ && theirs.to == peer)
    ring = far_messages(peer, /*is_send=*/true);
  else if (theirs.from == peer && theirs.to == rank_)
    ring = far_messages(peer, /*is_send=*/false);
  const auto own = ring ? ring->read(theirs.number) : std::nullopt;
  if (!own || own->digest == theirs.digest) return std::nullopt;
  const std::string text = to_text(own->opening);
  if (own->before == theirs.before) return disagreement({{rank_, text}, {peer, theirs.text}});
  return c10::str("ranks of group ", group_, " disagree on what they have done: ", at(rank_).name,
                  " and ", said->name, " did not do the same before ", text);
}

OperationLedger::Sides OperationLedger::sides(const OperationRing::Difference& difference,
                                              int peer) const {
  std::vector<std::pair<int, Opening>> sides;
  for (const int rank : mine_) {
    std::optional<Opening> said;
    if (rank == rank_)
      said = difference.own;
    else if (rank == peer)
      said = difference.theirs;
    else if (const auto entry = collectives(rank).read(difference.number))
      said = entry->opening;
    const auto agrees = [&](const auto& side) { return is_same(side.second, *said); };
    if (said && std::none_of(sides.begin(), sides.end(), agrees)) sides.emplace_back(rank, *said);
  }
  Sides words;
  for (const auto& [rank, opening] : sides) words.emplace_back(rank, to_text(opening));
  return words;
}

std::string OperationLedger::disagreement(const Sides& sides) const {
  std::string text = c10::str("ranks of group ", group_, " disagree on what to do next: ");
  for (size_t i = 0; i < sides.size(); ++i)
    text += c10::str(i == 0 ? "" : "; ", at(sides[i].first).name, ": ", sides[i].second);
  return text;
}

std::string OperationLedger::missing(uint64_t number) const {
  std::set<int> absent, unseen;
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) {
    if (at(rank).local < 0)
      unseen.insert(rank);
    else if (collectives(rank).num_begun() < number)
      absent.insert(rank);
  }
  return in_words(absent, unseen);
}

std::string OperationLedger::missing(const std::vector<BegunMessage>& begun) const {
  std::set<int> absent, unseen;
  for (const auto& [peer, is_send, number] : begun) {
    if (at(peer).local < 0)
      unseen.insert(peer);
    else if (messages(peer, rank_, !is_send).num_begun() < number)
      absent.insert(peer);
  }
  return in_words(absent, unseen);
}

std::string OperationLedger::in_words(const std::set<int>& absent,
                                      const std::set<int>& unseen) const {
  std::string text;
  for (const int rank : absent) text += (text.empty() ? "" : ", ") + at(rank).name;
  if (!absent.empty()) return text + (absent.size() == 1 ? " has" : " have") + " not begun it";
  if (unseen.empty()) return "all ranks have begun it, so it hangs";
  std::set<std::string> hosts;  // own one: of processes that are not seen from here
  for (const int rank : unseen) hosts.insert(at(rank).host);
  for (const std::string& host : hosts) text += (text.empty() ? "host " : ", host ") + host;
  return c10::str("all that are seen from host ", at(rank_).host, " have begun it: ranks on ", text,
                  " may be missing, or it hangs");
}

}  // namespace triga
