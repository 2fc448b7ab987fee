// A terminal that writes into a file, to look at what was shown.
#pragma once

#include <cstdio>
#include <string>

#include "base/terminal.h"

namespace triga::test {

class CapturedTerminal {
 public:
  explicit CapturedTerminal(bool is_interactive, bool use_color = false)
      : file_(std::tmpfile()),
        terminal_({.descriptor = fileno(file_),
                   .is_interactive = is_interactive,
                   .use_color = use_color}) {}
  ~CapturedTerminal() {
    terminal_.keep_bar();
    std::fclose(file_);
  }
  CapturedTerminal(const CapturedTerminal&) = delete;
  CapturedTerminal& operator=(const CapturedTerminal&) = delete;

  Terminal& terminal() { return terminal_; }

  /// All that was written since the last call.
  std::string take() {
    std::fseek(file_, position_, SEEK_SET);
    std::string text;
    for (int c; (c = std::fgetc(file_)) != EOF;) text += static_cast<char>(c);
    position_ += static_cast<long>(text.size());
    return text;
  }

 private:
  std::FILE* file_;
  long position_ = 0;
  Terminal terminal_;
};

}  // namespace triga::test
