#include "parallel/pipeline/carried_state.h"

#include <ATen/ops/arange.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace triga {
namespace {

/// The last step of an epoch may have fewer streams: the first ones.
void keep_rows(SequenceState& state, int64_t count) {
  const auto& entries = state.entries();
  if (std::any_of(entries.begin(), entries.end(),
                  [&](const SequenceState::Entry& entry) { return entry.value.size(0) > count; }))
    state.reorder(at::arange(count, entries[0].value.options().dtype(at::kLong)));
}

}  // namespace

std::string to_text(const CarriedName& name) {
  return fmt::format("{}.{}.{}", name.layer, name.state, name.microbatch);
}

std::optional<CarriedName> carried_name_from(const std::string& text) {
  const size_t second = text.rfind('.');
  const size_t first = second == text.npos || second == 0 ? text.npos : text.rfind('.', second - 1);
  if (first == text.npos) return std::nullopt;
  CarriedName name{text.substr(0, first), text.substr(first + 1, second - first - 1), 0};
  const char *begin = text.data() + second + 1, *end = text.data() + text.size();
  const auto [read, error] = std::from_chars(begin, end, name.microbatch);
  if (error != std::errc() || read != end || name.microbatch < 0) return std::nullopt;
  return name;
}

SequenceState* CarriedState::begin(const Batch& batch) {
  const auto [place, is_new] = written_.try_emplace(batch.microbatch);
  if (is_new) {
    if (const auto kept = kept_.find(batch.microbatch); kept != kept_.end())
      place->second = kept->second;
    keep_rows(place->second, batch.num_samples);
  }
  return &place->second;
}

void CarriedState::keep() {
  for (auto& [microbatch, state] : written_) kept_[microbatch] = std::move(state);
  written_.clear();
}

SequenceState* CarriedState::go_on(const Batch& batch) {
  SequenceState& state = kept_[batch.microbatch];
  keep_rows(state, batch.num_samples);
  return &state;
}

void CarriedState::clear() {
  kept_.clear();
  written_.clear();
}

std::vector<CarriedState::Entry> CarriedState::entries() const {
  std::vector<Entry> entries;
  for (const auto& [microbatch, state] : kept_)
    for (const auto& [layer, name, value] : state.entries())
      entries.push_back({{layer, name, microbatch}, value});
  return entries;
}

void CarriedState::restore(const CarriedName& name, const at::Tensor& value) {
  kept_[name.microbatch].set(name.layer, name.state, value);
}

}  // namespace triga
