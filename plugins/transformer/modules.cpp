#include "transformer/modules.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <cmath>

#include "triga/ops.h"

namespace triga::transformer {
namespace {

/// The same as scaled_dot_product_attention, with our dropout of the weights. q, k, v: [B, H, T, K].
at::Tensor attention_with_dropout(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const at::Tensor& visible, double p, LayerContext& context) {
  // Its weights, [B, H, T, T], are large and cheap to compute again.
  std::vector<at::Tensor> inputs = {q, k, v};
  if (visible.defined()) inputs.push_back(visible);
  return context.recompute(
      [p](const std::vector<at::Tensor>& given, LayerContext& call) {
        const double scale = 1 / std::sqrt(static_cast<double>(given[0].size(-1)));
        at::Tensor scores = at::matmul(given[0] * scale, given[1].transpose(-2, -1));
        if (given.size() == 4) scores = scores.masked_fill(~given[3], -INFINITY);
        const at::Tensor weights = dropout(at::softmax(scores, -1), p, call, "attention");
        return std::vector<at::Tensor>{at::matmul(weights, given[2])};
      },
      inputs)[0];
}

}  // namespace

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return in_type_of_input(x).to(weight->scalar_type());
}

at::Tensor LayerNorm::in_type_of_input(const at::Tensor& x) const {
  const auto type = x.scalar_type();
  if (type == weight->scalar_type())
    return at::layer_norm(x, {x.size(-1)}, weight.tensor(), bias.tensor(), epsilon);
  return at::layer_norm(x, {x.size(-1)}, weight->to(type), bias->to(type), epsilon);
}

at::Tensor Dense::operator()(const at::Tensor& x) const {
  return linear(x, weight, &bias);
}

LayerNorm declare_norm(const Declare& declare, const std::string& name, int64_t size,
                       double epsilon) {
  return {declare(name + ".weight", {size}, Init::ones()),
          declare(name + ".bias", {size}, Init::zeros()), epsilon};
}

Dense declare_dense(const Declare& declare, const std::string& name, int64_t in, int64_t out,
                    double stddev) {
  return {declare(name + ".weight", {out, in}, Init::normal(stddev)),
          declare(name + ".bias", {out}, Init::zeros())};
}

at::Tensor attention(const at::Tensor& q_ND, const at::Tensor& k_ND, const at::Tensor& v_ND,
                     int64_t batch, int64_t num_heads, const at::Tensor& visible, double p,
                     LayerContext& context) {
  const int64_t width = q_ND.size(1);
  const auto heads = [&](const at::Tensor& x) {
    return x.view({batch, -1, num_heads, width / num_heads}).transpose(1, 2);
  };
  const at::Tensor q = heads(q_ND), k = heads(k_ND), v = heads(v_ND);
  const at::Tensor mask = visible.defined() ? visible.unsqueeze(1).unsqueeze(1) : visible;
  const at::Tensor mixed_BHTK = context.training() && p > 0
                                    ? attention_with_dropout(q, k, v, mask, p, context)
                                : mask.defined() ? at::scaled_dot_product_attention(q, k, v, mask)
                                                 : at::scaled_dot_product_attention(q, k, v);
  return mixed_BHTK.transpose(1, 2).reshape({-1, width});
}

}  // namespace triga::transformer
