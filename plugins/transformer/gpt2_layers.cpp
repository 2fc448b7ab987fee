#include "transformer/gpt2_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>

#include "triga/ops.h"
#include "triga/sequence_state.h"

namespace triga::transformer {
namespace {

const std::string kTokenEmbedding =
    "transformer.wte.weight";  // declared by the embedding and by the head: shared

/// Attention of T new tokens to S >= T tokens, the new ones at the end. q: [B, H, T, K]; k, v: [B,
/// H, S, K].
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto num_new = q.size(2), num_all = k.size(2);
  if (num_new == num_all)
    return at::scaled_dot_product_attention(q, k, v, {}, 0.0, /*is_causal=*/true);
  if (num_new == 1) return at::scaled_dot_product_attention(q, k, v);
  const auto visible =
      at::ones({num_new, num_all}, q.options().dtype(at::kBool)).tril(num_all - num_new);
  return at::scaled_dot_product_attention(q, k, v, visible);
}

}  // namespace

at::Tensor Projection::operator()(const at::Tensor& x) const {
  return linear(x, weight, &bias, WeightLayout::kInOut);
}

Gpt2Embedding::Gpt2Embedding(const Gpt2Config& config)
    : dropout_(config.embedding_dropout.value_or(config.dropout)),
      wte_(parameter(kTokenEmbedding, {config.vocab_size.value(), config.hidden_size},
                     Init::normal(config.initializer_range))),
      wpe_(parameter("transformer.wpe.weight", {config.context_length, config.hidden_size},
                     Init::normal(config.initializer_range))) {}

Activations Gpt2Embedding::forward(const Activations& /*inputs*/, LayerContext& context) {
  const auto& input_ids_BT = context.batch()["input_ids"];
  const auto time = input_ids_BT.size(1);
  const auto first = context.sequence_state() ? context.sequence_state()->position() : 0;
  if (first + time > wpe_->size(0))
    throw Error(c10::str("gpt2: the input reaches position ", first + time,
                         ", but the model has positions for ", wpe_->size(0),
                         " tokens (context_length)"));
  // With bf16 the residual stream stays fp32: what blocks add to it is small beside it.
  const auto hidden_BTD =
      embedding(input_ids_BT, wte_).to(at::kFloat) + wpe_->narrow(0, first, time).to(at::kFloat);
  return {{"hidden", dropout(hidden_BTD.flatten(0, 1), dropout_, context, "embedding")}};
}

Gpt2Block::Gpt2Block(const Gpt2Config& config, int64_t index, std::string name)
    : name_(std::move(name)),
      num_heads_(config.num_heads),
      residual_dropout_(config.residual_dropout.value_or(config.dropout)),
      attention_dropout_(config.attention_dropout.value_or(config.dropout)) {
  const auto prefix = c10::str("transformer.h.", index, ".");
  const auto width = config.hidden_size;
  const auto norm = [&](const std::string& part) {
    return LayerNorm{parameter(prefix + part + ".weight", {width}, Init::ones()),
                     parameter(prefix + part + ".bias", {width}, Init::zeros()),
                     config.layer_norm_epsilon};
  };
  const auto projection = [&](const std::string& part, int64_t in, int64_t out, double stddev) {
    return Projection{parameter(prefix + part + ".weight", {in, out}, Init::normal(stddev)),
                      parameter(prefix + part + ".bias", {out}, Init::zeros())};
  };
  const auto stddev = config.initializer_range;
  const auto residual_stddev = stddev / std::sqrt(2.0 * double(config.num_layers));
  ln_1_ = norm("ln_1");
  c_attn_ = projection("attn.c_attn", width, 3 * width, stddev);
  attn_c_proj_ = projection("attn.c_proj", width, width, residual_stddev);
  ln_2_ = norm("ln_2");
  c_fc_ = projection("mlp.c_fc", width, 4 * width, stddev);
  mlp_c_proj_ = projection("mlp.c_proj", 4 * width, width, residual_stddev);
}

Activations Gpt2Block::forward(const Activations& inputs, LayerContext& context) {
  const auto& x_ND = inputs["hidden"];
  const auto attended_ND = dropout_add(x_ND, attention(ln_1_(x_ND), context), residual_dropout_,
                                       context, "attention_output");
  return {{"hidden", dropout_add(attended_ND, mlp(ln_2_(attended_ND)), residual_dropout_, context,
                                 "mlp_output")}};
}

at::Tensor Gpt2Block::attention(const at::Tensor& x_ND, LayerContext& context) {
  const auto batch = context.batch()["input_ids"].size(0);
  const auto width = x_ND.size(1);
  const auto qkv_3BHTK =
      c_attn_(x_ND).view({batch, -1, 3, num_heads_, width / num_heads_}).permute({2, 0, 3, 1, 4});
  at::Tensor mixed_BHTK;
  if (context.training() && attention_dropout_ > 0) {
    // Its weights, [B * H, T, T], are large and cheap to compute again.
    mixed_BHTK = context.recompute(
        [p = attention_dropout_](const std::vector<at::Tensor>& inputs, LayerContext& call) {
          const auto& qkv = inputs[0];
          const auto rows = qkv.reshape({3, qkv.size(1) * qkv.size(2), qkv.size(3), qkv.size(4)});
          const auto mixed =
              causal_attention_with_dropout(rows[0], rows[1], rows[2], p, call, "attention");
          return std::vector<at::Tensor>{mixed.view(qkv.sizes().slice(1))};
        },
        {qkv_3BHTK})[0];
  } else {
    auto qkv = qkv_3BHTK.unbind(0);
    if (auto* state = context.sequence_state()) {
      for (const auto& [name, tensor] : {std::pair{"key", &qkv[1]}, std::pair{"value", &qkv[2]}}) {
        const auto cached = state->get(name_, name);
        if (cached.defined()) *tensor = at::cat({cached, *tensor}, 2);
        state->set(name_, name, *tensor);
      }
    }
    mixed_BHTK = causal_attention(qkv[0], qkv[1], qkv[2]);
  }
  const auto mixed_ND = mixed_BHTK.transpose(1, 2).reshape({-1, width});
  return attn_c_proj_(mixed_ND);
}

at::Tensor Gpt2Block::mlp(const at::Tensor& x_ND) {
  return mlp_c_proj_(gelu_tanh(c_fc_(x_ND)));
}

Gpt2Head::Gpt2Head(const Gpt2Config& config)
    : ln_f_{parameter("transformer.ln_f.weight", {config.hidden_size}, Init::ones()),
            parameter("transformer.ln_f.bias", {config.hidden_size}, Init::zeros()),
            config.layer_norm_epsilon},
      wte_(parameter(kTokenEmbedding, {config.vocab_size.value(), config.hidden_size},
                     Init::normal(config.initializer_range))) {}

Activations Gpt2Head::forward(const Activations& inputs, LayerContext& context) {
  const auto logits_NV = linear(ln_f_(inputs["hidden"]), wte_, nullptr);
  return {
      {"logits", logits_NV.view({context.batch()["input_ids"].size(0), -1, logits_NV.size(1)})}};
}

}  // namespace triga::transformer
