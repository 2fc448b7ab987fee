// A second architecture, for tests: it uses all of the interfaces that a language model does not. A
// small encoder-decoder:
//
//   source_embedding   writes also a boolean mask of the real places
//   features           a frozen component, with an integer activation that no gradient enters
//   encoder.0          writes `skip`, which only decoder.1 reads, five layers later
//   encoder.1          adds an auxiliary loss, counted otherwise than the main one
//   encoder_norm       a step statistic: subtracts a running mean (a buffer) updated once a step
//   target_embedding   shared.weight again; reads no activation, only the batch
//   decoder.0          carries state from call to call, in training too
//   decoder.1          reads `skip`
//   head               target.weight again: tied
//
// Lengths of sources and targets vary from sample to sample and from microbatch to microbatch.
#pragma once

#include "triga/architecture.h"

namespace triga::test {

struct EncoderDecoderConfig {
  int64_t vocab_size = 29;
  int64_t width = 12;
  double dropout = 0.1;
  double auxiliary_weight = 0.02;
};

class EncoderDecoder final : public Architecture {
 public:
  explicit EncoderDecoder(EncoderDecoderConfig config = {}) : config_(config) {}

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"source": int64 [s], "target": int64 [t + 1]} to source_ids, source_lengths,
  /// target_ids, labels.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  EncoderDecoderConfig config_;
};

/// Sample `index` of a made-up language: a source of 2 to 9 tokens, and a target of 2 to 7 that
/// says it backwards.
Sample encoder_decoder_sample(int64_t index, const EncoderDecoderConfig& config = {});

}  // namespace triga::test
