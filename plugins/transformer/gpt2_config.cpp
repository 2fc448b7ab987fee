#include "transformer/gpt2_config.h"

#include <c10/util/StringUtil.h>

#include "common/model_json.h"
#include "common/vocabulary.h"

namespace triga::transformer {
using common::Json;

void describe(Fields& fields, Gpt2Config& config) {
  fields.field("num_layers", config.num_layers)
      .help("Number of transformer blocks.")
      .at_least(1)
      .known_as({"n_layer", "n_layers", "num_hidden_layers", "depth", "layers", "dec_depth"});
  fields.field("num_heads", config.num_heads)
      .help("Attention heads of a block; hidden_size is a multiple of it.")
      .at_least(1)
      .known_as(
          {"n_head", "n_heads", "num_attention_heads", "nhead", "heads", "transformer_heads"});
  fields.field("hidden_size", config.hidden_size)
      .help("Width of the model: the length of the vector that stands for a token.")
      .at_least(1)
      .known_as(
          {"n_embd", "d_model", "embed_dim", "embedding_size", "model_dim", "dim_emb", "width"});
  fields.field("context_length", config.context_length)
      .help("Longest input, and the length that packed samples are cut to.")
      .unit("tokens")
      .at_least(1)
      .known_as({"n_positions", "n_ctx", "block_size", "max_position_embeddings", "max_seq_len",
                 "seq_len", "sequence_length", "max_length"});
  common::describe_vocab_size(fields, config.vocab_size);
  fields.field("dropout", config.dropout)
      .help("Share of activations that training sets to zero, at the three places below.")
      .at_least(0)
      .below(1)
      .known_as(
          {"dropout_p", "dropout_rate", "p_dropout", "hidden_dropout_prob", "transformer_dropout"});
  fields.field("embedding_dropout", config.embedding_dropout)
      .help("Dropout of the sum of the token's and the position's embedding.")
      .at_least(0)
      .below(1)
      .empty_word("dropout")
      .known_as({"embd_pdrop", "emb_dropout"});
  fields.field("residual_dropout", config.residual_dropout)
      .help("Dropout of what attention and feed-forward add to the residual stream.")
      .at_least(0)
      .below(1)
      .empty_word("dropout")
      .known_as({"resid_pdrop", "resid_dropout"});
  fields.field("attention_dropout", config.attention_dropout)
      .help("Dropout of attention weights.")
      .at_least(0)
      .below(1)
      .empty_word("dropout")
      .known_as({"attn_pdrop", "attn_dropout", "attention_probs_dropout_prob"});
  fields.field("layer_norm_epsilon", config.layer_norm_epsilon)
      .help("Added to the variance in layer normalisation.")
      .above(0)
      .known_as({"layer_norm_eps", "norm_eps", "ln_eps", "rms_norm_eps"});
  fields.field("initializer_range", config.initializer_range)
      .help(
          "Standard deviation of the first weights; those that end in the residual stream have it "
          "divided by "
          "sqrt(2 * num_layers).")
      .above(0)
      .known_as({"init_std", "initializer_std", "init_range"});
  fields.rule("num_heads", [&config]() -> std::optional<std::string> {
    if (config.hidden_size % config.num_heads == 0) return std::nullopt;
    return c10::str("hidden_size ", config.hidden_size, " is not a multiple of num_heads ",
                    config.num_heads);
  });
}

std::map<std::string, std::string> gpt2_files(const Gpt2Config& config,
                                              std::optional<int32_t> end_of_text) {
  const Json token = end_of_text ? Json(*end_of_text) : Json(nullptr);
  const Json model = {
      {"architectures", {"GPT2LMHeadModel"}},
      {"model_type", "gpt2"},
      {"activation_function", "gelu_new"},
      {"n_layer", config.num_layers},
      {"n_head", config.num_heads},
      {"n_embd", config.hidden_size},
      {"n_inner", nullptr},
      {"n_positions", config.context_length},
      {"n_ctx", config.context_length},
      {"vocab_size", config.vocab_size.value()},
      {"embd_pdrop", config.embedding_dropout.value_or(config.dropout)},
      {"resid_pdrop", config.residual_dropout.value_or(config.dropout)},
      {"attn_pdrop", config.attention_dropout.value_or(config.dropout)},
      {"layer_norm_epsilon", config.layer_norm_epsilon},
      {"initializer_range", config.initializer_range},
      {"scale_attn_weights", true},
      {"scale_attn_by_inverse_layer_idx", false},
      {"tie_word_embeddings", true},
      {"bos_token_id", token},
      {"eos_token_id", token},
      {"dtype", "float32"},
      {"torch_dtype", "float32"},
  };
  const Json generation = {{"bos_token_id", token}, {"eos_token_id", token}};
  return {{"config.json", model.dump(2) + "\n"},
          {"generation_config.json", generation.dump(2) + "\n"}};
}

void check_gpt2_files(const Gpt2Config& config, const std::map<std::string, std::string>& files) {
  const Json stored = common::parse_config_json(files, "gpt2", "gpt2");
  common::ConfigComparison compare(stored);
  compare.expect<int64_t>("num_layers", config.num_layers, "n_layer", 12);
  compare.expect<int64_t>("num_heads", config.num_heads, "n_head", 12);
  compare.expect<int64_t>("hidden_size", config.hidden_size, "n_embd", 768);
  compare.expect<int64_t>("context_length", config.context_length, "n_positions", 1024);
  compare.expect<int64_t>("vocab_size", config.vocab_size.value(), "vocab_size", 50257);
  compare.expect<double>("layer_norm_epsilon", config.layer_norm_epsilon, "layer_norm_epsilon",
                         1e-5);
  if (stored.contains("n_inner") && !stored["n_inner"].is_null())
    compare.expect<int64_t>("width of the feed-forward layer", 4 * config.hidden_size, "n_inner",
                            0);
  if (stored.value("activation_function", "gelu_new") !=
      "gelu_pytorch_tanh")  // another name of the same function
    compare.expect<std::string>("activation", "gelu_new", "activation_function", "gelu_new");
  compare.expect<bool>("attention scaled by 1/sqrt(head size)", true, "scale_attn_weights", true);
  compare.expect<bool>("attention scaled by 1/layer", false, "scale_attn_by_inverse_layer_idx",
                       false);
  compare.expect<bool>("head tied to the embedding", true, "tie_word_embeddings", true);
  compare.expect<bool>("cross attention", false, "add_cross_attention", false);
  compare.throw_if_any();
}

std::optional<std::string> gpt2_parameter_name(const std::string& stored_name) {
  const auto ends_with = [&](std::string_view end) { return stored_name.ends_with(end); };
  if (stored_name == "lm_head.weight") return std::nullopt;  // tied to wte
  if (ends_with(".attn.bias") || ends_with(".attn.masked_bias"))
    return std::nullopt;  // causal masks
  if (stored_name.starts_with("transformer.")) return stored_name;
  return "transformer." + stored_name;  // saved from a GPT2Model
}

}  // namespace triga::transformer
