// triga::log, over spdlog: one line of a file says when, how serious, and which area; the terminal
// says the area only.
#include "triga/log.h"

#include <fmt/chrono.h>
#include <spdlog/details/file_helper.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>
#include <vector>

#include "base/log_outputs.h"
#include "triga/error.h"

namespace triga {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

std::string_view text_of(spdlog::string_view_t view) {
  return {view.data(), view.size()};
}

class JsonFormatter final : public spdlog::formatter {
 public:
  explicit JsonFormatter(int rank) : rank_(rank) {}

  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    using std::chrono::floor, std::chrono::milliseconds, std::chrono::seconds;
    const auto second = floor<seconds>(line.time);
    const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                                         fmt::gmtime(std::chrono::system_clock::to_time_t(second)),
                                         floor<milliseconds>(line.time - second).count());
    const nlohmann::ordered_json object = {{"time", time},
                                           {"level", level_word(line.level)},
                                           {"area", text_of(line.logger_name)},
                                           {"rank", rank_},
                                           {"message", text_of(line.payload)}};
    // What is not UTF-8 is shown as such rather than lost.
    const std::string text =
        object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>(rank_);
  }

 private:
  static const char* level_word(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::debug:
        return "debug";
      case spdlog::level::info:
        return "info";
      case spdlog::level::warn:
        return "warning";
      default:
        return "error";
    }
  }

  const int rank_;
};

/// `[area] warning: message`, the level in colour when the terminal wants that.
std::string terminal_line(spdlog::level::level_enum level, std::string_view area,
                          std::string_view message, bool use_color) {
  std::string word, color;
  if (level == spdlog::level::warn) word = "warning: ", color = "\x1b[33m";
  if (level == spdlog::level::err) word = "error: ", color = "\x1b[31m";
  if (use_color && !word.empty()) word = color + word + "\x1b[0m";
  return c10::str("[", area, "] ", word, message);
}

class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit TerminalSink(Terminal& terminal) : terminal_(terminal) {}

 private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    terminal_.print_line(terminal_line(line.level, text_of(line.logger_name), text_of(line.payload),
                                       terminal_.use_color()));
  }
  void flush_() override {}

  Terminal& terminal_;
};

/// This rank's file: it has a line when log() returns. One that blocks, on a disk that does not
/// answer, holds up the thread that writes, and the others for a moment only: their lines wait in
/// memory for who writes next.
class FileSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FileSink(const std::string& path) { file_.open(path); }
  ~FileSink() override {
    try {
      write_waiting();
    } catch (const std::exception&) {  // as write() below: it stops nothing
    }
  }

 private:
  static constexpr auto kPatience = std::chrono::milliseconds(200);  // with another thread's write

  void sink_it_(const spdlog::details::log_msg& line) override {
    {
      const std::lock_guard lock(waiting_mutex_);
      formatter_->format(line, waiting_);
    }
    const std::unique_lock lock(file_mutex_, kPatience);
    if (lock.owns_lock()) write_waiting();
  }
  void flush_() override {}  // as it writes

  /// Also what other threads leave there meanwhile.
  void write_waiting() {
    while (true) {
      spdlog::memory_buf_t lines;
      {
        const std::lock_guard lock(waiting_mutex_);
        lines.append(waiting_.data(), waiting_.data() + waiting_.size());
        waiting_.clear();
      }
      if (lines.size() == 0) return;
      file_.write(lines);
      file_.flush();
    }
  }

  std::timed_mutex file_mutex_;  // taken before the other
  spdlog::details::file_helper file_;
  std::mutex waiting_mutex_;  // also guards the formatter
  spdlog::memory_buf_t waiting_;
};

}  // namespace

struct LogOutputs::Sinks {
  spdlog::sink_ptr terminal, file;  // null: none
  std::atomic<bool> has_failed = false;
};

namespace {

std::shared_mutex outputs_mutex;  // guards the pointer
LogOutputs::Sinks* outputs = nullptr;

/// A log that cannot be written stops nothing, and is said where it can be.
void write(const spdlog::sink_ptr& sink, LogLevel level, std::string_view area,
           const std::string& message) {
  if (sink == nullptr || !sink->should_log(spdlog_level(level))) return;
  try {
    sink->log({spdlog::string_view_t(area.data(), area.size()), spdlog_level(level), message});
  } catch (const std::exception& error) {
    if (!outputs->has_failed.exchange(true))
      std::fprintf(stderr, "[log] warning: %s\n", error.what());
  }
}

}  // namespace

LogOutputs::LogOutputs(const LogOutputOptions& options) : sinks_(std::make_unique<Sinks>()) {
  if (options.terminal != nullptr) {
    auto sink = std::make_shared<TerminalSink>(*options.terminal);
    sink->set_level(spdlog_level(options.terminal_level));
    sinks_->terminal = std::move(sink);
  }
  if (!options.file.empty()) {
    try {
      auto sink = std::make_shared<FileSink>(options.file);
      if (options.is_json)
        sink->set_formatter(std::make_unique<JsonFormatter>(options.rank));
      else
        sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %L [%n] %v");
      sink->set_level(spdlog_level(options.file_level));
      sinks_->file = std::move(sink);
    } catch (const spdlog::spdlog_ex& error) {
      throw Error(c10::str("cannot open the log: ", error.what()));
    }
  }
  std::unique_lock lock(outputs_mutex);
  TRIGA_CHECK(outputs == nullptr, "two outputs of the log at once");
  outputs = sinks_.get();
}

LogOutputs::~LogOutputs() {
  std::unique_lock lock(outputs_mutex);
  outputs = nullptr;
}

void log(LogLevel level, std::string_view area, const std::string& message) {
  std::shared_lock lock(outputs_mutex);
  if (outputs == nullptr) {
    if (level < LogLevel::kWarning) return;
    std::fputs((terminal_line(spdlog_level(level), area, message, false) + "\n").c_str(), stderr);
    return;
  }
  write(outputs->terminal, level, area, message);  // first: it shows what the file may not take
  write(outputs->file, level, area, message);
}

void log_to_file(LogLevel level, std::string_view area, const std::string& message) {
  std::shared_lock lock(outputs_mutex);
  if (outputs != nullptr) write(outputs->file, level, area, message);
}

}  // namespace triga
