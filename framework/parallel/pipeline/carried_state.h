// CarriedState: what layers remember of the streams that a model with Architecture::carries_state()
// reads: a SequenceState for each microbatch, from one step to the next. A rank has those of its
// microbatches and layers.
//
//   step k:   begin(m) -> forward of m reads what was kept, writes what comes after
//             keep()      the step counts: step k + 1 reads what was written
//             drop()      the step is skipped: step k + 1 reads what step k read
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "triga/batch.h"
#include "triga/sequence_state.h"

namespace triga {

/// Which state of which streams: in a checkpoint "rnn.0.hidden.3" is what layer rnn.0 remembers as
/// `hidden` of the streams of microbatch 3.
struct CarriedName {
  std::string layer, state;
  int64_t microbatch = 0;
};
std::string to_text(const CarriedName& name);
/// Nothing: it is no such name.
std::optional<CarriedName> carried_name_from(const std::string& text);

class CarriedState {
 public:
  /// For the forward pass of a microbatch on every stage of this rank.
  SequenceState* begin(const Batch& batch);
  void keep();
  void drop() { written_.clear(); }
  /// Where nothing is skipped (an evaluation): reads and writes what is kept.
  SequenceState* go_on(const Batch& batch);
  /// Nothing is remembered: an epoch begins.
  void clear();

  struct Entry {
    CarriedName name;
    at::Tensor value;  // [streams, ...]
  };
  /// What is kept, for a checkpoint.
  std::vector<Entry> entries() const;
  void restore(const CarriedName& name, const at::Tensor& value);

 private:
  std::map<int64_t, SequenceState> kept_, written_;  // by microbatch
};

}  // namespace triga
