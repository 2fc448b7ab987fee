// CRC-32C (Castagnoli; RFC 3720, B.4), as TensorBoard's event files use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace triga {

uint32_t crc32c(std::string_view bytes);

}  // namespace triga
