// What kind `ddpm` is trained by, and measured by.
#pragma once

#include <memory>

#include "diffusion/variational_bound.h"
#include "triga/loss.h"
#include "triga/metric.h"

namespace triga::diffusion {

enum class LossKind {
  kSimple,      // squared errors of the prediction, every timestep alike (equation 14)
  kVariational  // the bound itself (equation 5)
};

/// Counted by pixels: the mean of kSimple is the error's, that of kVariational the bound in bits per
/// dimension, estimated from one timestep of each image.
std::unique_ptr<Loss> ddpm_loss(LossKind kind, const VariationalBound& bound);

/// `bits_per_dim`: the bound in bits per dimension, of predictions cut off at -1 and 1 as samplers
/// cut them. Each timestep counts alike, however many images were looked at there; of those that no
/// image was looked at, the others' mean stands in.
std::unique_ptr<Metric> bits_per_dim(const VariationalBound& bound);

}  // namespace triga::diffusion
