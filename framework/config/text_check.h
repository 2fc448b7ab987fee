// Is this text at all? Tested before the YAML library sees a byte.
#pragma once

#include <string>
#include <string_view>

namespace triga {

/// The text without a byte order mark. `has_lines`: it is a file, not the value of one --set.
/// Throws: ConfigError with file and line: too long, not UTF-8, control characters, a tab in
/// indentation.
std::string_view check_text(std::string_view text, const std::string& name, bool has_lines);

}  // namespace triga
