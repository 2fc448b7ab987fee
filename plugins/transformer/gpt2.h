// Kind `gpt2`: a decoder-only language model (Radford et al. 2019), stored as transformers'
// GPT2LMHeadModel.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transformer/gpt2_config.h"
#include "triga/architecture.h"

namespace triga::transformer {

class Gpt2 final : public Architecture {
 public:
  /// Throws: ConfigError when the size of the vocabulary is not known or under the tokenizer's.
  Gpt2(const Gpt2Config& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.context_length; }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  std::optional<SamplerKind> sampler() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;
  std::optional<std::string> parameter_name(const std::string& stored_name) const override;

 private:
  Gpt2Config config_;                   // vocab_size is set
  std::optional<int32_t> end_of_text_;  // of the tokenizer
};

}  // namespace triga::transformer
