// The layers of GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019)
// with the names and numerics of transformers' GPT2LMHeadModel: an embedding, blocks of attention
// and feed-forward, and a head. Between layers runs one activation, `hidden` [B * T, D]: flat, so
// that every projection is one addmm.
#pragma once

#include <string>

#include "transformer/gpt2_config.h"
#include "transformer/modules.h"
#include "triga/layer.h"

namespace triga::transformer {

// Suffixes as in modules.h, and S = T + cached.

/// y = x W + b with W stored [in, out], as GPT-2 stores it.
struct Projection {
  Parameter weight, bias;  // [in, out], [out]

  at::Tensor operator()(const at::Tensor& x) const;
};

/// input_ids [B, T] -> hidden [B * T, D]: token and position embedding.
class Gpt2Embedding final : public Layer {
 public:
  explicit Gpt2Embedding(const Gpt2Config& config);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  double dropout_;
  Parameter wte_;  // [vocab_size, D]
  Parameter wpe_;  // [context_length, D]
};

/// hidden -> hidden: x + attention(ln_1(x)), then x + mlp(ln_2(x)).
class Gpt2Block final : public Layer {
 public:
  /// `name`: the layer's name, under which it keeps its keys and values.
  Gpt2Block(const Gpt2Config& config, int64_t index, std::string name);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  at::Tensor attention(const at::Tensor& x_ND, LayerContext& context);
  at::Tensor mlp(const at::Tensor& x_ND);

  std::string name_;
  int64_t num_heads_;
  double residual_dropout_, attention_dropout_;
  LayerNorm ln_1_;
  Projection c_attn_, attn_c_proj_;
  LayerNorm ln_2_;
  Projection c_fc_, mlp_c_proj_;
};

/// hidden [B * T, D] -> logits [B, T, vocab_size]: last normalisation and the projection tied to
/// the token embedding.
class Gpt2Head final : public Layer {
 public:
  explicit Gpt2Head(const Gpt2Config& config);
  Activations forward(const Activations& inputs, LayerContext& context) override;

 private:
  LayerNorm ln_f_;
  Parameter wte_;  // [vocab_size, D]
};

}  // namespace triga::transformer
