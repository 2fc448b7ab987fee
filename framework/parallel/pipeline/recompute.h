// Recomputation of activations (Chen et al. 2016): the forward pass of a function keeps its inputs
// only; backward runs it again, with the same bits, and then goes through it. What comes out is what
// comes out without it, to the bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace triga {

using Tensors = std::vector<at::Tensor>;

/// function(inputs). What `function` uses beside its arguments (parameters, a batch) must live
/// until backward and not change; it must draw no random numbers but keyed ones. Gradients reach
/// parameters in a backward pass inside the outer one. `has_trainable`: it uses parameters that
/// need a gradient; if neither they nor an input do, there is no backward to keep little for, and
/// its outputs need no gradient either, as without recomputation.
Tensors recomputed(const std::function<Tensors(const Tensors&)>& function, const Tensors& inputs,
                   bool has_trainable);

}  // namespace triga
