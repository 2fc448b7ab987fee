// Terminal: what a person sees of rank 0. Lines scroll; below them stands one bar that is redrawn
// in place, so that lines of the log and the progress of training do not run into each other. Each
// change is one write, so other writers of the same terminal cannot cut it.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace triga {

struct TerminalOptions {
  int descriptor = 1;           // stays the caller's
  bool is_interactive = false;  // lines can be redrawn; false: a file or a pipe, which gets no bar
  bool use_color = false;
};

/// Thread-safe. What cannot be written (the reader is gone) is lost without an error.
class Terminal {
 public:
  explicit Terminal(const TerminalOptions& options) : options_(options) {}
  /// Leaves the bar as a line.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_interactive() const { return options_.is_interactive; }
  bool use_color() const { return options_.use_color; }
  /// Characters in a line; 80 if it cannot be known.
  int columns() const;

  /// One or more whole lines, above the bar. A missing line end is added.
  void print_line(std::string_view text);
  /// A piece of text as it is. Takes the bar away.
  void print(std::string_view text);
  /// Shows the bar, or replaces it. Nothing happens on what is not interactive. Requires: less than
  /// a line.
  void show_bar(std::string_view text);
  /// The bar stays where it is as a line, and is gone. Not when another thread stands in a write
  /// (to a terminal that was stopped, or a pager that nobody turns): a process that ends must not
  /// wait for that.
  void keep_bar();

 private:
  void write(std::string_view text);

  const TerminalOptions options_;
  std::timed_mutex mutex_;
  std::string bar_;  // "": none is shown
};

}  // namespace triga
