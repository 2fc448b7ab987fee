// LogOutputs: where triga::log (triga/log.h) writes: this rank's file, and on rank 0 the terminal.
// The one piece of state of a process that code reaches without being given it, because every
// plugin may log from everywhere.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/terminal.h"
#include "triga/log.h"

namespace triga {

struct LogOutputOptions {
  std::string file;              // appended to, made with its folders; "": none
  Terminal* terminal = nullptr;  // must outlive the outputs; null: none
  LogLevel file_level = LogLevel::kDebug;
  LogLevel terminal_level = LogLevel::kInfo;
  /// Lines of the file are JSON objects: time (UTC), level, area, rank, message.
  bool is_json = false;
  int rank = 0;
};

/// As log(), but not to the terminal: for what is said there in other ways.
void log_to_file(LogLevel level, std::string_view area, const std::string& message);

/// log() writes here while the object lives; at most one at a time. Without one, warnings and
/// errors go to stderr. The terminal has a line before the file: a file that blocks, on a disk that
/// does not answer, holds up the thread that writes to it, and others for a moment.
class LogOutputs {
 public:
  /// Throws: Error when the file cannot be opened.
  explicit LogOutputs(const LogOutputOptions& options);
  ~LogOutputs();
  LogOutputs(const LogOutputs&) = delete;
  LogOutputs& operator=(const LogOutputs&) = delete;

  struct Sinks;

 private:
  std::unique_ptr<Sinks> sinks_;
};

}  // namespace triga
