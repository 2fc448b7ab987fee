// SequenceState: what a model remembers of each sequence from call to call: the key-value cache of
// attention, the hidden state of a recurrent layer. It moves with its sequence: beam search
// reorders it, forking copies rows of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace triga {

class SequenceState {
 public:
  struct Entry {
    std::string layer;
    std::string name;
    at::Tensor value;  // [sequences, ...]
  };

  /// The value that this layer stored, or an undefined tensor.
  at::Tensor get(std::string_view layer, std::string_view name) const;
  /// `value`: [sequences, ...]; its history is not kept.
  void set(std::string_view layer, std::string_view name, at::Tensor value);

  /// Number of tokens (or frames) that the sequences have seen; layers read it, who drives them
  /// advances it.
  int64_t position() const { return position_; }
  void advance(int64_t num_steps) { position_ += num_steps; }

  /// New row i is old row index[i]: reorders, drops and forks sequences. `index`: int64 [new
  /// sequences].
  void reorder(const at::Tensor& index);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  int64_t position_ = 0;
};

}  // namespace triga
