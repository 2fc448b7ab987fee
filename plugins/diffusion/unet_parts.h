// The parts of a U-Net for diffusion (Ho et al. 2020), with the names and numerics of diffusers'
// ResnetBlock2D, Attention, Downsample2D and Upsample2D. First values are those of PyTorch's
// modules.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga::diffusion {

// Legend of suffixes: B batch, C channels, H height, W width, E time embedding, N = H * W, A heads,
// K size of a head.

/// Layer::parameter of the layer that has the part.
using Declare = std::function<Parameter(std::string, std::vector<int64_t>, Init)>;

/// Sizes and numbers that all parts of a model share.
struct PartOptions {
  int64_t time_embedding_size = 0;
  int64_t num_groups = 32;
  double norm_epsilon = 1e-5;
  double dropout = 0;
  std::optional<int64_t> head_size;  // of attention; empty: one head
};

/// A convolution of `size` x `size`.
class Convolution {
 public:
  Convolution(const Declare& declare, const std::string& name, int64_t in, int64_t out,
              int64_t size, int64_t stride = 1, int64_t padding = 0);
  at::Tensor operator()(const at::Tensor& x_BCHW) const;
  at::ScalarType type() const { return weight_->scalar_type(); }

 private:
  int64_t stride_, padding_;
  Parameter weight_, bias_;  // [out, in, size, size], [out]
};

/// Group normalisation (Wu and He 2018).
class GroupNorm {
 public:
  GroupNorm(const Declare& declare, const std::string& name, int64_t channels,
            const PartOptions& options);
  at::Tensor operator()(const at::Tensor& x) const;  // [B, C, ...]

 private:
  int64_t num_groups_;
  double epsilon_;
  Parameter weight_, bias_;  // [C]
};

class Projection {
 public:
  Projection(const Declare& declare, const std::string& name, int64_t in, int64_t out);
  at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
  at::ScalarType type() const { return weight_->scalar_type(); }

 private:
  Parameter weight_, bias_;  // [out, in], [out]
};

/// norm, SiLU, convolution, + time; norm, SiLU, dropout, convolution; + input.
class ResnetBlock {
 public:
  ResnetBlock(const Declare& declare, const std::string& name, int64_t in, int64_t out,
              const PartOptions& options);
  /// `time_BE`: SiLU of the time embedding.
  at::Tensor operator()(const at::Tensor& x_BCHW, const at::Tensor& time_BE,
                        const LayerContext& context) const;

 private:
  std::string name_;  // where dropout is drawn
  double dropout_;
  GroupNorm norm1_;
  Convolution conv1_;
  Projection time_;
  GroupNorm norm2_;
  Convolution conv2_;
  std::optional<Convolution> shortcut_;  // where the number of channels changes
};

/// Self-attention of all pixels to all pixels, + input.
class PixelAttention {
 public:
  PixelAttention(const Declare& declare, const std::string& name, int64_t channels,
                 const PartOptions& options);
  at::Tensor operator()(const at::Tensor& x_BCHW) const;

 private:
  int64_t num_heads_;
  GroupNorm norm_;
  Projection query_, key_, value_, out_;
};

/// The timestep as sines and cosines (Vaswani et al. 2017): fp32 [B, size], from int64 [B].
struct SinusoidOptions {
  int64_t size = 0;             // even
  int64_t frequency_shift = 0;  // what the largest exponent lacks of size / 2
  bool cosines_first = true;
};
at::Tensor sinusoids(const at::Tensor& timesteps, const SinusoidOptions& options);

}  // namespace triga::diffusion
