// Wire: how activations (and their gradients) look between two stages: a header that says what
// follows, then the tensors' bytes one after the other. Shapes may change from microbatch to
// microbatch, so the header always goes first; its own size follows from how many activations pass,
// which both ends know.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga {

constexpr int kMaxWireDimensions = 8;
/// int64 numbers of a header: the count of tensors, then for each its dtype (-1: undefined), whether
/// a gradient is wanted back, dimensions, and sizes.
constexpr int64_t wire_header_size(size_t num_tensors) {
  return 1 + static_cast<int64_t>(num_tensors) * (3 + kMaxWireDimensions);
}

/// The header of the tensors called `names`, in that order. Result: int64
/// [wire_header_size(names.size())]. Throws: Error when a tensor has more dimensions than it holds.
at::Tensor wire_header(const Activations& activations, const std::vector<std::string>& names);

/// Bytes that follow such a header; each tensor starts at a multiple of 64.
int64_t wire_bytes(const at::Tensor& header);

/// uint8 [wire_bytes(header)], on the device of the tensors.
at::Tensor wire_pack(const Activations& activations, const std::vector<std::string>& names,
                     const at::Tensor& header);

/// Tensors that view `bytes`; an undefined one stays undefined, and one that required a gradient
/// where it was made requires one here, as a leaf.
Activations wire_unpack(const at::Tensor& bytes, const std::vector<std::string>& names,
                        const at::Tensor& header);

}  // namespace triga
