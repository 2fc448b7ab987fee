#include "transformer/bert_config.h"

#include <c10/util/StringUtil.h>

#include "common/model_json.h"
#include "common/vocabulary.h"

namespace triga::transformer {
namespace {

using common::Json;

void describe_sizes(Fields& fields, BertConfig& config) {
  fields.field("num_layers", config.num_layers)
      .help("Number of transformer blocks.")
      .at_least(1)
      .known_as({"num_hidden_layers", "n_layer", "n_layers", "depth", "layers"});
  fields.field("num_heads", config.num_heads)
      .help("Attention heads of a block; hidden_size is a multiple of it.")
      .at_least(1)
      .known_as({"num_attention_heads", "n_head", "n_heads", "nhead", "heads"});
  fields.field("hidden_size", config.hidden_size)
      .help("Width of the model: the length of the vector that stands for a token.")
      .at_least(1)
      .known_as({"n_embd", "d_model", "embed_dim", "embedding_size", "dim", "width"});
  fields.field("intermediate_size", config.intermediate_size)
      .help("Width of the feed-forward layers.")
      .at_least(1)
      .known_as({"ffn_dim", "mlp_dim", "hidden_dim", "n_inner", "dim_feedforward"});
  fields.field("context_length", config.context_length)
      .help("Longest input, [CLS] and [SEP] included; longer texts are cut.")
      .unit("tokens")
      .at_least(4)
      .known_as({"max_position_embeddings", "n_positions", "max_seq_length", "max_length",
                 "seq_len", "sequence_length"});
  fields.field("num_token_types", config.num_token_types)
      .help(
          "Rows of the embedding of segments. Inputs are of the first; more are for files that "
          "have them.")
      .at_least(1)
      .known_as({"type_vocab_size", "num_segments"});
  common::describe_vocab_size(fields, config.vocab_size);
  fields.rule("num_heads", [&config]() -> std::optional<std::string> {
    if (config.hidden_size % config.num_heads == 0) return std::nullopt;
    return c10::str("hidden_size ", config.hidden_size, " is not a multiple of num_heads ",
                    config.num_heads);
  });
}

void describe_encoder(Fields& fields, BertConfig& config) {
  describe_sizes(fields, config);
  fields.field("dropout", config.dropout)
      .help(
          "Share of activations that training sets to zero: of the embedding, and of what "
          "attention and feed-forward give.")
      .at_least(0)
      .below(1)
      .known_as({"hidden_dropout_prob", "dropout_p", "dropout_rate"});
  fields.field("attention_dropout", config.attention_dropout)
      .help("Dropout of attention weights.")
      .at_least(0)
      .below(1)
      .known_as({"attention_probs_dropout_prob", "attn_pdrop", "attn_dropout"});
  fields.field("layer_norm_epsilon", config.layer_norm_epsilon)
      .help("Added to the variance in layer normalisation.")
      .above(0)
      .known_as({"layer_norm_eps", "norm_eps", "ln_eps"});
  fields.field("initializer_range", config.initializer_range)
      .help("Standard deviation of the first weights.")
      .above(0)
      .known_as({"init_std", "initializer_std"});
}

Json encoder_json(const BertConfig& config, const char* architecture, int32_t pad_token) {
  return {{"architectures", {architecture}},
          {"model_type", "bert"},
          {"num_hidden_layers", config.num_layers},
          {"num_attention_heads", config.num_heads},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"hidden_act", "gelu"},
          {"max_position_embeddings", config.context_length},
          {"type_vocab_size", config.num_token_types},
          {"vocab_size", config.vocab_size.value()},
          {"pad_token_id", pad_token},
          {"hidden_dropout_prob", config.dropout},
          {"attention_probs_dropout_prob", config.attention_dropout},
          {"layer_norm_eps", config.layer_norm_epsilon},
          {"initializer_range", config.initializer_range},
          {"position_embedding_type", "absolute"},
          {"tie_word_embeddings", true},
          {"dtype", "float32"},
          {"torch_dtype", "float32"}};
}

}  // namespace

void describe(Fields& fields, BertMlmConfig& config) {
  describe_encoder(fields, config);
  fields.field("masked_share", config.masked_share)
      .help(
          "Share of the tokens of a text that are to be guessed, at least one. Of these the model "
          "sees 80 % as [MASK], 10 % as another token and 10 % as they are.")
      .above(0)
      .at_most(1)
      .known_as({"mlm_probability", "masked_lm_prob", "mask_ratio", "mask_prob"});
}

void describe(Fields& fields, BertClassifierConfig& config) {
  describe_encoder(fields, config);
  fields.field("num_labels", config.num_labels)
      .help("Classes to tell apart.")
      .at_least(2)
      .known_as({"num_classes", "n_classes", "output_size"});
  fields.field("classifier_dropout", config.classifier_dropout)
      .help("Dropout of what the classifier reads.")
      .at_least(0)
      .below(1)
      .empty_word("dropout")
      .known_as({"head_dropout", "cls_dropout"});
}

std::map<std::string, std::string> bert_mlm_files(const BertMlmConfig& config, int32_t pad_token) {
  return {{"config.json", encoder_json(config, "BertForMaskedLM", pad_token).dump(2) + "\n"}};
}

std::map<std::string, std::string> bert_classifier_files(const BertClassifierConfig& config,
                                                         int32_t pad_token) {
  Json model = encoder_json(config, "BertForSequenceClassification", pad_token);
  if (config.classifier_dropout) model["classifier_dropout"] = *config.classifier_dropout;
  model["problem_type"] = "single_label_classification";
  common::add_labels(model, config.num_labels);
  return {{"config.json", model.dump(2) + "\n"}};
}

void check_bert_files(const BertConfig& config, const std::string& kind,
                      const std::map<std::string, std::string>& files) {
  const Json stored = common::parse_config_json(files, kind, "bert");
  common::ConfigComparison compare(stored);
  compare.expect<int64_t>("num_layers", config.num_layers, "num_hidden_layers", 12);
  compare.expect<int64_t>("num_heads", config.num_heads, "num_attention_heads", 12);
  compare.expect<int64_t>("hidden_size", config.hidden_size, "hidden_size", 768);
  compare.expect<int64_t>("intermediate_size", config.intermediate_size, "intermediate_size", 3072);
  compare.expect<int64_t>("context_length", config.context_length, "max_position_embeddings", 512);
  compare.expect<int64_t>("num_token_types", config.num_token_types, "type_vocab_size", 2);
  compare.expect<int64_t>("vocab_size", config.vocab_size.value(), "vocab_size", 30522);
  compare.expect<double>("layer_norm_epsilon", config.layer_norm_epsilon, "layer_norm_eps", 1e-12);
  compare.expect<std::string>("activation", "gelu", "hidden_act", "gelu");
  compare.expect<std::string>("positions", "absolute", "position_embedding_type", "absolute");
  compare.expect<bool>("head tied to the embedding", true, "tie_word_embeddings", true);
  compare.expect<bool>("decoder", false, "is_decoder", false);
  compare.expect<bool>("cross attention", false, "add_cross_attention", false);
  compare.throw_if_any();
}

std::optional<std::string> bert_parameter_name(const std::string& stored_name, BertHead head) {
  std::string name = stored_name;
  const auto begins_with = [&](std::string_view begin) { return name.starts_with(begin); };
  // As TensorFlow called them; the first files are converted from it.
  for (const auto& [old_end, end] : {std::pair{"LayerNorm.gamma", "LayerNorm.weight"},
                                     std::pair{"LayerNorm.beta", "LayerNorm.bias"}})
    if (name.ends_with(old_end))
      name = name.substr(0, name.size() - std::string_view(old_end).size()) + end;
  const bool has_prefix = begins_with("bert.") || begins_with("cls.") || begins_with("classifier.");
  if (!has_prefix) name = "bert." + name;  // saved from a BertModel
  if (begins_with("bert.embeddings.position_ids") || begins_with("bert.embeddings.token_type_ids"))
    return std::nullopt;
  if (begins_with("cls.predictions.decoder."))
    return std::nullopt;  // tied to the word embeddings and cls.predictions.bias
  if (begins_with("cls.seq_relationship.")) return std::nullopt;
  const bool is_other_heads = head == BertHead::kMaskedTokens
                                  ? begins_with("bert.pooler.") || begins_with("classifier.")
                                  : begins_with("cls.");
  if (is_other_heads) return std::nullopt;
  return name;
}

}  // namespace triga::transformer
