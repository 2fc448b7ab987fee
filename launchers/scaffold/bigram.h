// The model: guesses the next token from the last one alone, by way of a vector for each token.
#pragma once

#include "triga/architecture.h"
#include "triga/config.h"
#include "triga/tokenizer.h"

namespace triga::plugin_my_plugin {

/// The options: a struct with defaults, and a function that describes each field. From it come
/// parsing, errors with line numbers, `triga describe`, the JSON Schema and resolved.yaml.
struct BigramConfig {
  int64_t context_length = 64;
  int64_t hidden_size = 32;
  double dropout = 0;
};

void describe(Fields& fields, BigramConfig& config);

class Bigram final : public Architecture {
 public:
  Bigram(const BigramConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.context_length; }
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  BigramConfig config_;
  int64_t vocab_size_;
};

}  // namespace triga::plugin_my_plugin
