// Kinds `bert_mlm`, which learns from text alone by guessing masked tokens, and `bert_classifier`,
// which tells classes of texts apart (Devlin et al. 2019), stored as transformers' BertForMaskedLM
// and BertForSequenceClassification. A classifier starts from the directory of a bert_mlm with
// `model.init: {from: DIR, reinitialize: ["bert.pooler.*", "classifier.*"]}`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transformer/bert_config.h"
#include "transformer/bert_tokens.h"
#include "triga/architecture.h"

namespace triga::transformer {

class BertMlm final : public Architecture {
 public:
  /// Throws: ConfigError when there is no tokenizer with BERT's special tokens, or vocab_size is
  /// under its vocabulary.
  BertMlm(const BertMlmConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"tokens": int64 [n]}, n up to context_length - 2; what else they hold is not read.
  /// Gives the fields of pad_rows, and "masked_positions" and "labels" int64 [B, M]: where a sample
  /// has fewer places to guess, positions are 0 and labels common::kNoLabel. The choice is keyed by
  /// the sample's position: another one in every epoch of training, always the same in an
  /// evaluation.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override;
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  std::optional<SamplerKind> sampler() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;
  std::optional<std::string> parameter_name(const std::string& stored_name) const override;

 private:
  BertMlmConfig config_;  // vocab_size is set
  BertTokens tokens_;
};

class BertClassifier final : public Architecture {
 public:
  /// Throws: as BertMlm.
  BertClassifier(const BertClassifierConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"tokens": int64 [n], "label": int64 []}, n up to context_length - 2. Gives the fields
  /// of pad_rows, and "labels" int64 [B].
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.context_length - 2; }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  std::optional<SamplerKind> sampler() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;
  std::optional<std::string> parameter_name(const std::string& stored_name) const override;

 private:
  BertClassifierConfig config_;  // vocab_size is set
  BertTokens tokens_;
};

}  // namespace triga::transformer
