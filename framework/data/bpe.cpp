#include "data/bpe.h"

#include <fmt/format.h>

#include <queue>

#include "data/byte_level.h"
#include "triga/error.h"

namespace triga {
namespace {

/// Neighbours that could be joined. The queue gives the earliest merge first, then the leftmost.
struct Candidate {
  int32_t rank;
  uint32_t left, right;  // places in the piece
  int32_t token;         // that they would become
  uint64_t pair;         // what they were when it was found: another by now means that it is stale
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

struct Symbol {
  int32_t token;
  int32_t previous, next;  // places; -1: none
};

}  // namespace

BytePairs::BytePairs(std::vector<std::string> tokens, Merges merges)
    : tokens_(std::move(tokens)), merges_(std::move(merges)) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < tokens_.size(); ++id)
    if (!tokens_[id].empty()) ids.emplace(tokens_[id], static_cast<int32_t>(id));
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const auto found = ids.find(std::string_view(&text, 1));
    if (found == ids.end())
      throw ConfigError(fmt::format(
          "the vocabulary has no token for byte 0x{:02X} ('{}'): text that holds it would be lost",
          byte, byte_names()[static_cast<size_t>(byte)]));
    of_byte_[byte] = found->second;
  }
  for (size_t rank = 0; rank < merges_.size(); ++rank) add_merge(static_cast<int32_t>(rank), ids);
}

void BytePairs::add_merge(int32_t rank, const std::unordered_map<std::string_view, int32_t>& ids) {
  const auto [left, right] = merges_[static_cast<size_t>(rank)];
  const std::string& first = tokens_.at(static_cast<size_t>(left));
  const std::string& second = tokens_.at(static_cast<size_t>(right));
  const auto found = ids.find(first + second);
  if (found == ids.end())
    throw ConfigError(
        fmt::format("merge {} joins '{}' and '{}', which is no token of the vocabulary", rank,
                    name_of_bytes(first), name_of_bytes(second)));
  merge_of_.emplace(key(left, right), Merge{rank, found->second});
}

void BytePairs::encode(std::string_view piece, std::vector<int32_t>& tokens) const {
  std::vector<Symbol> symbols(piece.size());
  std::priority_queue<Candidate> candidates;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const uint64_t pair =
        key(symbols[static_cast<size_t>(left)].token, symbols[static_cast<size_t>(right)].token);
    if (const auto found = merge_of_.find(pair); found != merge_of_.end())
      candidates.push({found->second.rank, static_cast<uint32_t>(left),
                       static_cast<uint32_t>(right), found->second.token, pair});
  };
  for (size_t i = 0; i < piece.size(); ++i) {
    const auto place = static_cast<int32_t>(i);
    symbols[i] = {of_byte_[static_cast<unsigned char>(piece[i])], place - 1, place + 1};
  }
  if (!symbols.empty()) symbols.back().next = -1;
  for (int32_t i = 1; i < static_cast<int32_t>(symbols.size()); ++i) consider(i - 1, i);

  constexpr int32_t kGone = -1;
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.token == kGone || right.token == kGone || key(left.token, right.token) != best.pair ||
        left.next != static_cast<int32_t>(best.right))
      continue;
    left.token = best.token;
    left.next = right.next;
    right.token = kGone;
    if (left.next >= 0)
      symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(best.left);
    consider(left.previous, static_cast<int32_t>(best.left));
    consider(static_cast<int32_t>(best.left), left.next);
  }
  for (const Symbol& symbol : symbols)
    if (symbol.token != kGone) tokens.push_back(symbol.token);
}

}  // namespace triga
