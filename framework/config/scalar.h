// What a scalar of YAML means when it stands without quotes: the core schema of YAML 1.2, which is
// also how JSON reads numbers. Used by the bindings of fields and by the writers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace triga {

enum class ScalarType { kNull, kBool, kInteger, kFloat, kString };

ScalarType scalar_type(std::string_view text);

/// The number; nothing when `text` is none or does not fit. Integers may be decimal, 0x and 0o.
std::optional<int64_t> parse_integer(std::string_view text);
/// Any integer or finite decimal number; nothing otherwise.
std::optional<double> parse_number(std::string_view text);

/// The shortest text that reads back as the same number: "0.1", "1e-05".
std::string format_number(double value);

}  // namespace triga
