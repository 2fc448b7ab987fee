#include "diffusion/unet_parts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include "triga/ops.h"

namespace triga::diffusion {
namespace {

/// Weights and biases of torch.nn.Conv2d and Linear begin uniform within 1 / sqrt(inputs).
Init first_values(int64_t num_inputs) {
  return Init::uniform(1 / std::sqrt(static_cast<double>(num_inputs)));
}

}  // namespace

Convolution::Convolution(const Declare& declare, const std::string& name, int64_t in, int64_t out,
                         int64_t size, int64_t stride, int64_t padding)
    : stride_(stride),
      padding_(padding),
      weight_(declare(name + ".weight", {out, in, size, size}, first_values(in * size * size))),
      bias_(declare(name + ".bias", {out}, first_values(in * size * size))) {}

at::Tensor Convolution::operator()(const at::Tensor& x_BCHW) const {
  return at::conv2d(x_BCHW, weight_.tensor(), bias_.tensor(), stride_, padding_);
}

GroupNorm::GroupNorm(const Declare& declare, const std::string& name, int64_t channels,
                     const PartOptions& options)
    : num_groups_(options.num_groups),
      epsilon_(options.norm_epsilon),
      weight_(declare(name + ".weight", {channels}, Init::ones())),
      bias_(declare(name + ".bias", {channels}, Init::zeros())) {}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const {
  return at::group_norm(x, num_groups_, weight_.tensor(), bias_.tensor(), epsilon_);
}

Projection::Projection(const Declare& declare, const std::string& name, int64_t in, int64_t out)
    : weight_(declare(name + ".weight", {out, in}, first_values(in))),
      bias_(declare(name + ".bias", {out}, first_values(in))) {}

at::Tensor Projection::operator()(const at::Tensor& x) const {
  return linear(x, weight_, &bias_);
}

ResnetBlock::ResnetBlock(const Declare& declare, const std::string& name, int64_t in, int64_t out,
                         const PartOptions& options)
    : name_(name),
      dropout_(options.dropout),
      norm1_(declare, name + ".norm1", in, options),
      conv1_(declare, name + ".conv1", in, out, 3, 1, 1),
      time_(declare, name + ".time_emb_proj", options.time_embedding_size, out),
      norm2_(declare, name + ".norm2", out, options),
      conv2_(declare, name + ".conv2", out, out, 3, 1, 1) {
  if (in != out) shortcut_.emplace(declare, name + ".conv_shortcut", in, out, 1);
}

at::Tensor ResnetBlock::operator()(const at::Tensor& x_BCHW, const at::Tensor& time_BE,
                                   const LayerContext& context) const {
  const at::Tensor time_BC11 = time_(time_BE).unsqueeze(-1).unsqueeze(-1);
  const at::Tensor first_BCHW = conv1_(at::silu(norm1_(x_BCHW))) + time_BC11;
  const at::Tensor kept_BCHW = dropout(at::silu(norm2_(first_BCHW)), dropout_, context, name_);
  return (shortcut_ ? (*shortcut_)(x_BCHW) : x_BCHW) + conv2_(kept_BCHW);
}

PixelAttention::PixelAttention(const Declare& declare, const std::string& name, int64_t channels,
                               const PartOptions& options)
    : num_heads_(channels / options.head_size.value_or(channels)),
      norm_(declare, name + ".group_norm", channels, options),
      query_(declare, name + ".to_q", channels, channels),
      key_(declare, name + ".to_k", channels, channels),
      value_(declare, name + ".to_v", channels, channels),
      out_(declare, name + ".to_out.0", channels, channels) {}

at::Tensor PixelAttention::operator()(const at::Tensor& x_BCHW) const {
  const int64_t batch = x_BCHW.size(0), channels = x_BCHW.size(1);
  const at::Tensor pixels_BNC = norm_(x_BCHW.flatten(2)).transpose(1, 2).contiguous();
  const auto heads_BANK = [&](const Projection& projection) {
    return projection(pixels_BNC)
        .view({batch, -1, num_heads_, channels / num_heads_})
        .transpose(1, 2);
  };
  const at::Tensor mixed_BANK =
      at::scaled_dot_product_attention(heads_BANK(query_), heads_BANK(key_), heads_BANK(value_));
  const at::Tensor out_BNC = out_(mixed_BANK.transpose(1, 2).reshape({batch, -1, channels}));
  return x_BCHW + out_BNC.transpose(1, 2).reshape(x_BCHW.sizes());
}

at::Tensor sinusoids(const at::Tensor& timesteps, const SinusoidOptions& options) {
  const int64_t half = options.size / 2;
  const at::Tensor exponents = at::arange(half, timesteps.options().dtype(at::kFloat)) *
                               -std::log(10000.0) /
                               static_cast<double>(half - options.frequency_shift);
  const at::Tensor angles = timesteps.to(at::kFloat).unsqueeze(1) * exponents.exp().unsqueeze(0);
  return options.cosines_first ? at::cat({angles.cos(), angles.sin()}, 1)
                               : at::cat({angles.sin(), angles.cos()}, 1);
}

}  // namespace triga::diffusion
