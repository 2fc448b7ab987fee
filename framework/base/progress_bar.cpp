#include "base/progress_bar.h"

#include <fmt/format.h>

#include <chrono>

namespace triga {

ReportProgress progress_bar(Terminal& terminal) {
  using Clock = std::chrono::steady_clock;
  if (!terminal.is_interactive()) return no_progress;
  return [&terminal, last = Clock::time_point()](std::string_view what, int64_t done,
                                                 int64_t total) mutable {
    const Clock::time_point now = Clock::now();
    if (done != total && now - last < std::chrono::milliseconds(100)) return;
    last = now;
    std::string line = fmt::format("{}: {}", what, done);
    if (total > 0) line += fmt::format(" of {} ({} %)", total, 100 * done / total);
    terminal.show_bar(
        std::string_view(line).substr(0, static_cast<size_t>(terminal.columns() - 1)));
  };
}

}  // namespace triga
