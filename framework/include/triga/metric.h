// Metric: a number of an evaluation beside the loss (accuracy, BLEU). Each rank updates its own on
// its part of the split; the states are merged in sample order, then every rank can ask for the
// result. An architecture brings those that only it can compute; what fits several models is a kind
// of its own (Registry::metrics), named by an experiment at `eval.metrics`.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "triga/batch.h"
#include "triga/layer.h"

namespace triga {

class Tokenizer;

class Metric {
 public:
  virtual ~Metric() = default;

  virtual std::string name() const = 0;  // `accuracy`; logged as validation/accuracy
  virtual void reset() = 0;
  /// `outputs`: what the last layer wrote for this batch.
  virtual void update(const Batch& batch, const Activations& outputs) = 0;

  /// What the updates so far amount to, on the CPU: any shape and type, also of zero elements.
  virtual at::Tensor state() const = 0;
  /// Adds the state of the samples that follow.
  virtual void merge(const at::Tensor& state) = 0;
  virtual double result() const = 0;
};

/// What a metric's factory may use.
struct MetricContext {
  const Tokenizer* tokenizer = nullptr;  // null when the experiment names none
};

}  // namespace triga
