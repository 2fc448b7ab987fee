#include "transformer/bert_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/tanh.h>
#include <c10/util/StringUtil.h>

#include "triga/ops.h"

namespace triga::transformer {
namespace {

const std::string kEmbeddings = "bert.embeddings.";

Init drawn(const BertConfig& config) {
  return Init::normal(config.initializer_range);
}

}  // namespace

BertEmbedding::BertEmbedding(const BertConfig& config) : dropout_(config.dropout) {
  const int64_t width = config.hidden_size;
  const auto table = [&](const char* name, int64_t num_rows) {
    return parameter(kEmbeddings + name + ".weight", {num_rows, width}, drawn(config));
  };
  const Declare declare = [this](auto name, auto shape, Init init) {
    return parameter(std::move(name), std::move(shape), init);
  };
  word_ = table("word_embeddings", config.vocab_size.value());
  position_ = table("position_embeddings", config.context_length);
  token_type_ = table("token_type_embeddings", config.num_token_types);
  norm_ = declare_norm(declare, kEmbeddings + "LayerNorm", width, config.layer_norm_epsilon);
}

Activations BertEmbedding::forward(const Activations& /*inputs*/, LayerContext& context) {
  const at::Tensor& input_ids_BT = context.batch()["input_ids"];
  const int64_t time = input_ids_BT.size(1);
  if (time > position_->size(0))
    throw Error(c10::str("bert: the input has ", time, " tokens, but the model has positions for ",
                         position_->size(0), " (context_length)"));
  // With bf16 the residual stream stays fp32.
  const at::Tensor sum_BTD = embedding(input_ids_BT, word_).to(at::kFloat) +
                             token_type_->select(0, 0).to(at::kFloat) +
                             position_->narrow(0, 0, time).to(at::kFloat);
  const at::Tensor hidden_ND = norm_.in_type_of_input(sum_BTD.flatten(0, 1));
  return {{"hidden", dropout(hidden_ND, dropout_, context, "embedding")}};
}

BertBlock::BertBlock(const BertConfig& config, int64_t index)
    : num_heads_(config.num_heads),
      dropout_(config.dropout),
      attention_dropout_(config.attention_dropout) {
  const std::string prefix = c10::str("bert.encoder.layer.", index, ".");
  const Declare declare = [this](auto name, auto shape, Init init) {
    return parameter(std::move(name), std::move(shape), init);
  };
  const auto norm = [&](const char* name) {
    return declare_norm(declare, prefix + name, config.hidden_size, config.layer_norm_epsilon);
  };
  const auto dense = [&](const char* name, int64_t in, int64_t out) {
    return declare_dense(declare, prefix + name, in, out, config.initializer_range);
  };
  const int64_t width = config.hidden_size, inner = config.intermediate_size;
  query_ = dense("attention.self.query", width, width);
  key_ = dense("attention.self.key", width, width);
  value_ = dense("attention.self.value", width, width);
  attention_output_ = dense("attention.output.dense", width, width);
  attention_norm_ = norm("attention.output.LayerNorm");
  intermediate_ = dense("intermediate.dense", width, inner);
  output_ = dense("output.dense", inner, width);
  output_norm_ = norm("output.LayerNorm");
}

Activations BertBlock::forward(const Activations& inputs, LayerContext& context) {
  const at::Tensor& x_ND = inputs["hidden"];
  const auto type = query_.weight->scalar_type();
  const NamedTensors& fields = context.batch().fields;
  const at::Tensor* mask = fields.find("attention_mask");
  const at::Tensor input_ND = x_ND.to(type);
  const at::Tensor mixed_ND =
      attention(query_(input_ND), key_(input_ND), value_(input_ND), fields["input_ids"].size(0),
                num_heads_, mask == nullptr ? at::Tensor() : *mask, attention_dropout_, context);
  const at::Tensor attended_ND = attention_norm_.in_type_of_input(
      dropout_add(x_ND, attention_output_(mixed_ND), dropout_, context, "attention_output"));
  const at::Tensor inner = at::gelu(intermediate_(attended_ND.to(type)));
  return {{"hidden", output_norm_.in_type_of_input(dropout_add(attended_ND, output_(inner),
                                                               dropout_, context, "mlp_output"))}};
}

BertMaskedHead::BertMaskedHead(const BertConfig& config) {
  const std::string prefix = "cls.predictions.";
  const int64_t width = config.hidden_size, vocab_size = config.vocab_size.value();
  const Declare declare = [this](auto name, auto shape, Init init) {
    return parameter(std::move(name), std::move(shape), init);
  };
  transform_ =
      declare_dense(declare, prefix + "transform.dense", width, width, config.initializer_range);
  norm_ = declare_norm(declare, prefix + "transform.LayerNorm", width, config.layer_norm_epsilon);
  word_ = parameter(kEmbeddings + "word_embeddings.weight", {vocab_size, width}, drawn(config));
  bias_ = parameter(prefix + "bias", {vocab_size}, Init::zeros());
}

Activations BertMaskedHead::forward(const Activations& inputs, LayerContext& context) {
  const NamedTensors& fields = context.batch().fields;
  at::Tensor rows = inputs["hidden"];
  const int64_t batch = fields["input_ids"].size(0), time = fields["input_ids"].size(1);
  if (const at::Tensor* positions_BM = fields.find("masked_positions")) {
    const at::Tensor first_of_sample =
        at::arange(batch, positions_BM->options()).mul(time).unsqueeze(1);
    rows = rows.index_select(0, (*positions_BM + first_of_sample).flatten());
  }
  const at::Tensor guess = norm_(at::gelu(transform_(rows.to(word_->scalar_type()))));
  const at::Tensor logits = linear(guess, word_, &bias_);
  return {{"logits", logits.view({batch, -1, logits.size(1)})}};
}

BertClassHead::BertClassHead(const BertClassifierConfig& config)
    : dropout_(config.classifier_dropout.value_or(config.dropout)) {
  const Declare declare = [this](auto name, auto shape, Init init) {
    return parameter(std::move(name), std::move(shape), init);
  };
  const int64_t width = config.hidden_size;
  pooler_ = declare_dense(declare, "bert.pooler.dense", width, width, config.initializer_range);
  classifier_ =
      declare_dense(declare, "classifier", width, config.num_labels, config.initializer_range);
}

Activations BertClassHead::forward(const Activations& inputs, LayerContext& context) {
  const at::Tensor& hidden_ND = inputs["hidden"];
  const int64_t batch = context.batch()["input_ids"].size(0);
  const at::Tensor first_BD = hidden_ND.view({batch, -1, hidden_ND.size(1)}).select(1, 0);
  const at::Tensor pooled_BD = at::tanh(pooler_(first_BD.to(pooler_.weight->scalar_type())));
  return {{"logits", classifier_(dropout(pooled_BD, dropout_, context, "pooled"))}};
}

}  // namespace triga::transformer
