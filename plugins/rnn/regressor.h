// Kind `rnn_regressor`: a sequence of tokens or of vectors to real numbers, by what the last
// recurrent layer remembers at its end, through a linear layer. Stored with the names of torch.nn
// modules `embedding`, `rnn`, `regressor`.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rnn/sequence_encoder.h"
#include "triga/architecture.h"

namespace triga::rnn {

struct RegressorConfig : SequenceEncoderConfig {
  RegressorConfig() { input = SequenceInput::kFeatures; }
  int64_t num_targets = 1;
};

void describe(Fields& fields, RegressorConfig& config);

class Regressor final : public Architecture {
 public:
  /// Throws: ConfigError when it reads tokens and the size of the vocabulary is not known.
  Regressor(const RegressorConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  /// Squared error over the number of values.
  std::unique_ptr<Loss> loss() const override;
  /// Samples of collate_sequences() with "target" fp32 [num_targets]; adds "targets" [B, num_targets].
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override {
    return config_.input == SequenceInput::kTokens ? config_.max_length : 0;
  }
  /// "mse" and "mae".
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  RegressorConfig config_;
};

}  // namespace triga::rnn
