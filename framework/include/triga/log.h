// Log: words for a person. Lines go to the rank's log file, and from rank 0 to the terminal, each
// with its [area].
#pragma once

#include <c10/util/StringUtil.h>

#include <string_view>

namespace triga {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Thread-safe. `area`: the part of the program that speaks (`data`, `checkpoint`, a plugin's
/// name).
void log(LogLevel level, std::string_view area, const std::string& message);

template <class... Parts>
void log_info(std::string_view area, const Parts&... parts) {
  log(LogLevel::kInfo, area, c10::str(parts...));
}
template <class... Parts>
void log_warning(std::string_view area, const Parts&... parts) {
  log(LogLevel::kWarning, area, c10::str(parts...));
}

}  // namespace triga
