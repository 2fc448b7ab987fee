// Kind `rnn_classifier`: a sequence of tokens or of vectors to a class, by what the last recurrent
// layer remembers at its end (in both directions, where it has two), through a linear layer. Stored
// with the names of torch.nn modules `embedding`, `rnn`, `classifier`.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rnn/sequence_encoder.h"
#include "triga/architecture.h"

namespace triga::rnn {

struct ClassifierConfig : SequenceEncoderConfig {
  int64_t num_labels = 2;
};

void describe(Fields& fields, ClassifierConfig& config);

class Classifier final : public Architecture {
 public:
  /// Throws: ConfigError when it reads tokens and the size of the vocabulary is not known.
  Classifier(const ClassifierConfig& config, const ArchitectureContext& context);

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples of collate_sequences() with "label" int64 []; adds "labels" int64 [B].
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t sequence_length() const override { return config_.max_length; }
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  ClassifierConfig config_;
};

}  // namespace triga::rnn
