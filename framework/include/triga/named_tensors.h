// NamedTensors: a few tensors by name. A sample of a dataset, the fields of a batch and the
// activations between layers are all of this type. Kept in insertion order in one flat vector: they
// hold a handful of entries.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "triga/error.h"

namespace triga {

class NamedTensors {
 public:
  using Entry = std::pair<std::string, at::Tensor>;

  NamedTensors() = default;
  NamedTensors(std::initializer_list<Entry> entries) : entries_(entries) {}

  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// The tensor, or null.
  const at::Tensor* find(std::string_view name) const {
    for (const auto& entry : entries_)
      if (entry.first == name) return &entry.second;
    return nullptr;
  }

  /// Throws: Error that names what is there.
  const at::Tensor& operator[](std::string_view name) const {
    if (const auto* tensor = find(name)) return *tensor;
    std::string names;
    for (const auto& entry : entries_) names += " " + entry.first;
    throw Error(c10::str("no tensor named '", name, "'; there are:", names));
  }

  /// Adds the tensor, or replaces the one of that name.
  void set(std::string_view name, at::Tensor tensor) {
    for (auto& entry : entries_)
      if (entry.first == name) {
        entry.second = std::move(tensor);
        return;
      }
    entries_.emplace_back(std::string(name), std::move(tensor));
  }

  void erase(std::string_view name) {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.first == name; });
  }

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace triga
