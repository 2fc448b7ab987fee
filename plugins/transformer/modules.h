// Pieces that layers of this plugin are made of. Suffixes: B batch, T time, D hidden size, H heads,
// K size of a head (D = H * K), N = B * T.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga::transformer {

/// Layer normalisation over the last dimension.
struct LayerNorm {
  Parameter weight, bias;  // [D]
  double epsilon = 0;

  /// In the weights' type, as the matrices that follow want it.
  at::Tensor operator()(const at::Tensor& x) const;
  /// In the type of x.
  at::Tensor in_type_of_input(const at::Tensor& x) const;
};

/// y = x W^T + b with W stored [out, in], as torch.nn.Linear.
struct Dense {
  Parameter weight, bias;  // [out, in], [out]

  at::Tensor operator()(const at::Tensor& x) const;
};

/// How a layer declares a parameter.
using Declare = std::function<Parameter(std::string name, std::vector<int64_t> shape, Init init)>;

LayerNorm declare_norm(const Declare& declare, const std::string& name, int64_t size,
                       double epsilon);
/// Weights are drawn with `stddev`, biases begin at zero.
Dense declare_dense(const Declare& declare, const std::string& name, int64_t in, int64_t out,
                    double stddev);

/// softmax(q k^T / sqrt(K)) v of every position with every one that `visible` (bool, [B, T];
/// undefined: all) allows, with dropout of the weights. q, k, v: [N, D], of B sequences. Result:
/// [N, D].
at::Tensor attention(const at::Tensor& q_ND, const at::Tensor& k_ND, const at::Tensor& v_ND,
                     int64_t batch, int64_t num_heads, const at::Tensor& visible, double p,
                     LayerContext& context);

}  // namespace triga::transformer
