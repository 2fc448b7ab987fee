// The header of a safetensors file: JSON text to checked TensorInfos and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace triga {

/// As in the reference implementation: no header is longer.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
/// The length in front of the header.
inline constexpr uint64_t kLengthBytes = 8;

struct SafetensorsHeader {
  Metadata metadata;
  std::vector<TensorInfo>
      tensors;  // in the order of their bytes, which they cover without gap or overlap
};

/// `data_offset`: where in the file the tensors' bytes begin; `data_bytes`: how many there are.
/// Throws: CheckpointError.
SafetensorsHeader parse_header(std::string_view text, uint64_t data_offset, uint64_t data_bytes,
                               const std::string& where);

/// The header with its padding, without the length. `tensors`: name, dtype, shape and bytes are
/// used, in their order.
std::string format_header(const std::vector<TensorInfo>& tensors, const Metadata& metadata);

}  // namespace triga
