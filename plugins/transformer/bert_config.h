// The options of kinds `bert_mlm` and `bert_classifier`, and how they map to the config.json and the
// tensor names of transformers' BertForMaskedLM and BertForSequenceClassification.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "triga/config.h"

namespace triga::transformer {

/// What both kinds have.
struct BertConfig {
  int64_t num_layers = 12;
  int64_t num_heads = 12;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t context_length = 512;
  int64_t num_token_types = 2;
  std::optional<int64_t> vocab_size;  // empty: that of the tokenizer
  double dropout = 0.1;
  double attention_dropout = 0.1;
  double layer_norm_epsilon = 1e-12;
  double initializer_range = 0.02;
};

struct BertMlmConfig : BertConfig {
  double masked_share = 0.15;
};

struct BertClassifierConfig : BertConfig {
  int64_t num_labels = 2;
  std::optional<double> classifier_dropout;  // empty: dropout
};

void describe(Fields& fields, BertMlmConfig& config);
void describe(Fields& fields, BertClassifierConfig& config);

/// What a config.json holds beside the options. `pad_token`: its id. Requires: config.vocab_size is
/// set.
std::map<std::string, std::string> bert_mlm_files(const BertMlmConfig& config, int32_t pad_token);
std::map<std::string, std::string> bert_classifier_files(const BertClassifierConfig& config,
                                                         int32_t pad_token);

/// Compares the encoder with that of a config.json, whichever head was saved with it: what a head
/// needs and the files lack, `init` names. Throws: ConfigError that names each value that differs;
/// CheckpointError when config.json is missing, not JSON, or of another architecture. Requires:
/// config.vocab_size is set.
void check_bert_files(const BertConfig& config, const std::string& kind,
                      const std::map<std::string, std::string>& files);

enum class BertHead { kMaskedTokens, kClass };

/// The name that a model with this head gives to a stored tensor; nothing for copies, old buffers
/// and other heads.
std::optional<std::string> bert_parameter_name(const std::string& stored_name, BertHead head);

}  // namespace triga::transformer
