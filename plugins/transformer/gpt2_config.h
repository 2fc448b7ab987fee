// The options of kind `gpt2`, and how they map to the config.json of transformers' GPT2LMHeadModel.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "triga/config.h"

namespace triga::transformer {

struct Gpt2Config {
  int64_t num_layers = 12;
  int64_t num_heads = 12;
  int64_t hidden_size = 768;
  int64_t context_length = 1024;
  std::optional<int64_t> vocab_size;  // empty: that of the tokenizer
  double dropout = 0.1;
  std::optional<double> embedding_dropout, residual_dropout, attention_dropout;  // empty: dropout
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;
};

void describe(Fields& fields, Gpt2Config& config);

/// What a config.json holds beside the options. `end_of_text`: the id of the token, if the
/// tokenizer has one. Requires: config.vocab_size is set.
std::map<std::string, std::string> gpt2_files(const Gpt2Config& config,
                                              std::optional<int32_t> end_of_text);

/// Throws: ConfigError that names each value in which config.json (a key of `files`) differs from
/// `config`; CheckpointError when it is missing, not JSON, or of another architecture. Requires:
/// config.vocab_size is set.
void check_gpt2_files(const Gpt2Config& config, const std::map<std::string, std::string>& files);

/// The name that this architecture gives to a stored tensor; nothing for copies and old buffers.
std::optional<std::string> gpt2_parameter_name(const std::string& stored_name);

}  // namespace triga::transformer
