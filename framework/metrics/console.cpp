#include "metrics/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace triga {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;
constexpr int kLongestBar = 40, kShortestBar = 10;

const double* find(const MetricRecord& record, std::string_view name) {
  for (const auto& [key, value] : record.values)
    if (key == name) return &value;
  return nullptr;
}

/// 12,345 for large numbers, 0.0123 for small ones.
std::string format_rate(double value) {
  if (std::abs(value) < 10) return fmt::format("{:.3g}", value);
  std::string digits = fmt::format("{:.0f}", value);
  const size_t first = digits.starts_with('-') ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

/// 2.0719, and 3.1e-12 for what would be 0.0000.
std::string format_value(double value) {
  const bool is_tiny = value != 0 && std::abs(value) < 1e-3;
  return is_tiny ? fmt::format("{:.1e}", value) : fmt::format("{:.4f}", value);
}

/// Columns that a text takes, which has no characters of double width: code points.
int width_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string repeat(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

/// The part that is done, to half a column.
std::string bar(double fraction, int width) {
  const int halves = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 2 * width);
  const int full = halves / 2, half = halves % 2;
  return repeat("━", full) + repeat("╸", half) + repeat("─", width - full - half);
}

}  // namespace

double steady_clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_duration(double seconds) {
  const auto total = static_cast<int64_t>(std::max(0.0, std::round(seconds)));
  const int64_t hours = total / 3600, minutes = total / 60 % 60;
  if (hours >= 24)
    return fmt::format("{} day{} {} h", hours / 24, hours / 24 == 1 ? "" : "s", hours % 24);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

ConsoleSink::ConsoleSink(Terminal& terminal, const ConsoleOptions& options)
    : terminal_(terminal),
      options_(options),
      start_(options.clock()),
      step_(options.first_step),
      drawn_at_(start_ - kSecondsBetweenDraws) {}

ConsoleSink::~ConsoleSink() {
  terminal_.keep_bar();
}

void ConsoleSink::record(const MetricRecord& record) {
  if (record.split.empty()) {
    last_ = record;
    step_ = record.step;
    if (terminal_.is_interactive()) {
      draw();
    } else {
      terminal_.print_line(fmt::format("step {}  {}", progress(), numbers()));
    }
    return;
  }
  std::string line = fmt::format("[{}] step {}", record.split, record.step);
  for (const auto& [name, value] : record.values)
    line += fmt::format("  {} {}", name, format_value(value));
  terminal_.print_line(line);
}

void ConsoleSink::step_done(int64_t step) {
  step_ = step;
  if (!terminal_.is_interactive()) return;
  if (options_.clock() - drawn_at_ >= kSecondsBetweenDraws) draw();
}

void ConsoleSink::draw() {
  drawn_at_ = options_.clock();
  const std::string left = progress() + " ", right = "  " + numbers();
  const int columns = terminal_.columns() - 1;  // a full line would wrap
  const int room = std::min(kLongestBar, columns - width_of(left) - width_of(right));
  std::string line = left;
  if (options_.total_steps && room >= kShortestBar)
    line += bar(static_cast<double>(step_) / static_cast<double>(*options_.total_steps), room);
  line += right;
  // Everything but the bar is ASCII, and a line with a bar fits.
  if (width_of(line) > columns) line.resize(static_cast<size_t>(std::max(0, columns)));
  terminal_.show_bar(line);
}

std::string ConsoleSink::progress() const {
  if (!options_.total_steps) return fmt::format("{}", step_);
  const std::string total = fmt::format("{}", *options_.total_steps);
  return fmt::format("{:>{}}/{}", step_, total.size(), total);
}

std::string ConsoleSink::numbers() const {
  std::string text;
  if (const auto* loss = find(last_, "loss")) text += fmt::format("loss {:.4f}  ", *loss);
  for (const char* unit : {"tokens", "samples"}) {
    const auto* rate = find(last_, fmt::format("{}_per_second", unit));
    if (rate != nullptr) text += fmt::format("{} {}/s  ", format_rate(*rate), unit);
  }
  if (const auto left = seconds_left()) text += format_duration(*left) + " left";
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::optional<double> ConsoleSink::seconds_left() const {
  const double elapsed = options_.clock() - start_;
  std::optional<double> left;
  if (options_.total_seconds) left = *options_.total_seconds - elapsed;
  if (options_.total_steps && step_ > options_.first_step) {
    const double per_step = elapsed / static_cast<double>(step_ - options_.first_step);
    const double by_steps = per_step * static_cast<double>(*options_.total_steps - step_);
    left = left ? std::min(*left, by_steps) : by_steps;
  }
  return left;
}

}  // namespace triga
