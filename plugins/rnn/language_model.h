// Kind `rnn_language_model`: text, token by token, with recurrent layers (Mikolov et al. 2010;
// Zaremba et al. 2014), stored with the names of torch.nn modules `encoder`, `rnn`, `decoder`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rnn/recurrent_layers.h"
#include "triga/architecture.h"
#include "triga/config.h"

namespace triga::rnn {

struct LanguageModelConfig : RecurrentConfig {
  LanguageModelConfig() {
    num_layers = 2;
    hidden_size = 256;
  }

  int64_t embedding_size = 256;
  int64_t context_length = 256;
  std::optional<int64_t> vocab_size;  // empty: that of the tokenizer
  double dropout = 0.1;
  bool tie_weights = false;
  bool carry_state = false;
};

void describe(Fields& fields, LanguageModelConfig& config);

class LanguageModel final : public Architecture {
 public:
  /// Throws: ConfigError when the size of the vocabulary is not known or under the tokenizer's.
  LanguageModel(const LanguageModelConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.context_length; }
  bool carries_state() const override { return config_.carry_state; }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  std::optional<SamplerKind> sampler() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  LanguageModelConfig config_;  // vocab_size is set
  int64_t pad_token_ = 0;
};

}  // namespace triga::rnn
