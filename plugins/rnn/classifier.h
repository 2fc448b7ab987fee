// Kind `rnn_classifier`: a sequence of tokens or of vectors to a class, by what the last recurrent
// layer remembers at its end (in both directions, where it has two), through a linear layer. Stored
// with the names of torch.nn modules `embedding`, `rnn`, `classifier`.
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

enum class SequenceInput { kTokens, kFeatures };

struct ClassifierConfig : RecurrentConfig {
  SequenceInput input = SequenceInput::kTokens;
  int64_t num_labels = 2;
  int64_t embedding_size = 128;
  int64_t num_features = 1;
  bool bidirectional = false;
  int64_t max_length = 256;
  std::optional<int64_t> vocab_size;  // empty: that of the tokenizer
  double dropout = 0.1;

  int64_t input_size() const {
    return input == SequenceInput::kTokens ? embedding_size : num_features;
  }
  int64_t num_directions() const { return bidirectional ? 2 : 1; }
};

void describe(Fields& fields, ClassifierConfig& config);

class Classifier final : public Architecture {
 public:
  /// Throws: ConfigError when it reads tokens and the size of the vocabulary is not known.
  Classifier(const ClassifierConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"tokens": int64 [n], "label"} or {"features": fp32 [n, num_features], "label"}, n from
  /// 1 to max_length. Gives "input_ids" int64 [B, T] or "features" fp32 [B, T, F], padded;
  /// "lengths" and "labels" int64 [B]. The longest sample comes first, as packing wants it.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.max_length; }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  at::Tensor sequence_of(const Sample& sample) const;

  ClassifierConfig config_;
};

}  // namespace triga::rnn
