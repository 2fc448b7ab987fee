#include "triga/sequence_state.h"

#include <ATen/ops/index_select.h>

namespace triga {

at::Tensor SequenceState::get(std::string_view layer, std::string_view name) const {
  for (const auto& entry : entries_)
    if (entry.layer == layer && entry.name == name) return entry.value;
  return {};
}

void SequenceState::set(std::string_view layer, std::string_view name, at::Tensor value) {
  value = value.detach();
  for (auto& entry : entries_)
    if (entry.layer == layer && entry.name == name) {
      entry.value = std::move(value);
      return;
    }
  entries_.push_back({std::string(layer), std::string(name), std::move(value)});
}

void SequenceState::reorder(const at::Tensor& index) {
  for (auto& entry : entries_) entry.value = entry.value.index_select(0, index);
}

void SequenceState::clear() {
  entries_.clear();
  position_ = 0;
}

}  // namespace triga
