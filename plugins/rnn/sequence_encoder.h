// What reads a whole sequence, of tokens or of vectors, and gives what it remembers at the end: the
// part that classifiers and regressors have in common. Layers "input", "rnn.0", ...; stored with the
// names of torch.nn modules `embedding` and `rnn`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/model_json.h"
#include "rnn/recurrent_layers.h"
#include "triga/batch.h"
#include "triga/config.h"
#include "triga/dataset.h"
#include "triga/tokenizer.h"

namespace triga::rnn {

enum class SequenceInput { kTokens, kFeatures };

struct SequenceEncoderConfig : RecurrentConfig {
  SequenceInput input = SequenceInput::kTokens;
  int64_t embedding_size = 128;
  double embedding_deviation = 1;
  int64_t num_features = 1;
  bool bidirectional = false;
  int64_t max_length = 256;
  std::optional<int64_t> vocab_size;  // empty: that of the tokenizer
  double dropout = 0.1;

  int64_t input_size() const {
    return input == SequenceInput::kTokens ? embedding_size : num_features;
  }
  /// Of what it gives.
  int64_t output_size() const { return (bidirectional ? 2 : 1) * hidden_size; }
};

void describe(Fields& fields, SequenceEncoderConfig& config);

/// Settles vocab_size. Throws: ConfigError when it reads tokens and their number is not known.
void set_vocabulary(SequenceEncoderConfig& config, const Tokenizer* tokenizer);

/// Layers from the batch to "last" [B, output_size].
void add_encoder_layers(const SequenceEncoderConfig& config, std::vector<LayerSpec>& specs);

/// "last", with dropout, through a linear layer NAME, to "logits" or whatever `writes` names.
LayerSpec linear_head(const SequenceEncoderConfig& config, const std::string& name,
                      int64_t num_outputs, const std::string& writes);

/// Samples {"tokens": int64 [n]} or {"features": fp32 [n, num_features]}, n from 1 to max_length, as
/// a batch with "input_ids" int64 [B, T] or "features" fp32 [B, T, F], padded, and "lengths" int64
/// [B]; the longest sample first, as packing wants it. `sorted` gets the samples in that order.
/// Throws: DataError.
Batch collate_sequences(const SequenceEncoderConfig& config, const std::vector<Sample>& samples,
                        const CollateContext& context, std::vector<Sample>& sorted);

/// Its options in a config.json, after those in `json`.
void add_encoder_json(const SequenceEncoderConfig& config, common::Json& json);

/// The lines of Python that make and run it and a module HEAD of `num_outputs`, up to `result`.
std::string encoder_readme(const SequenceEncoderConfig& config, const std::string& head,
                           int64_t num_outputs, const std::string& result);

}  // namespace triga::rnn
