// FixedContext: the context of a layer that is called by a test alone.
#pragma once

#include "triga/layer.h"

namespace triga::testing {

class FixedContext final : public LayerContext {
 public:
  explicit FixedContext(Mode mode, int64_t microbatch = 0) : mode_(mode) {
    batch_.microbatch = microbatch;
  }
  Mode mode() const override { return mode_; }
  const Batch& batch() const override { return batch_; }
  RandomKey random_key(std::string_view call_site) const override {
    return RandomKey(1).with(call_site);
  }
  SequenceState* sequence_state() override { return nullptr; }
  void add_statistic(std::string_view, const at::Tensor&, double) override {}
  void add_loss(std::string_view, const at::Tensor&, double) override {}

 private:
  Mode mode_;
  Batch batch_;
};

}  // namespace triga::testing
