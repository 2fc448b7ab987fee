// The layers of BERT (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for
// Language Understanding", 2019) with the names and numerics of transformers' BertForMaskedLM and
// BertForSequenceClassification: an embedding, blocks that normalise after each residual addition,
// and one of two heads. Between layers runs one activation, `hidden` [B * T, D], fp32.
#pragma once

#include "transformer/bert_config.h"
#include "transformer/modules.h"
#include "triga/layer.h"

namespace triga::transformer {

// Suffixes as in modules.h, and M: places to guess in a sample, V: vocabulary.

/// input_ids [B, T] -> hidden: the normalised sum of word, segment and position.
class BertEmbedding final : public Layer {
 public:
  explicit BertEmbedding(const BertConfig& config);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  double dropout_;
  Parameter word_, position_, token_type_;  // [vocab_size, D], [context_length, D], [types, D]
  LayerNorm norm_;
};

/// hidden -> hidden: norm(x + attention(x)), then norm(x + mlp(x)). Reads attention_mask (bool, [B,
/// T]) where a batch has it.
class BertBlock final : public Layer {
 public:
  BertBlock(const BertConfig& config, int64_t index);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  int64_t num_heads_;
  double dropout_, attention_dropout_;
  Dense query_, key_, value_, attention_output_, intermediate_, output_;
  LayerNorm attention_norm_, output_norm_;
};

/// hidden -> logits: of the places that masked_positions [B, M] names, [B, M, V]; of all, [B, T,
/// V], where a batch has none. Its matrix is the embedding of words.
class BertMaskedHead final : public Layer {
 public:
  explicit BertMaskedHead(const BertConfig& config);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  Dense transform_;
  LayerNorm norm_;
  Parameter word_, bias_;  // [V, D], [V]
};

/// hidden -> logits [B, num_labels]: of the first place, [CLS], which stands for the whole text.
class BertClassHead final : public Layer {
 public:
  explicit BertClassHead(const BertClassifierConfig& config);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  double dropout_;
  Dense pooler_, classifier_;
};

}  // namespace triga::transformer
