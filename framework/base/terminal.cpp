#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace triga {
namespace {
constexpr std::string_view kEraseLine = "\r\x1b[K";
constexpr auto kPatience = std::chrono::milliseconds(200);  // with another thread's write
}  // namespace

Terminal::~Terminal() {
  keep_bar();
}

int Terminal::columns() const {
  winsize size{};
  if (ioctl(options_.descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void Terminal::print_line(std::string_view text) {
  std::string whole(text);
  if (!whole.ends_with('\n')) whole += '\n';
  std::lock_guard lock(mutex_);
  if (!bar_.empty()) whole = std::string(kEraseLine) + whole + bar_;
  write(whole);
}

void Terminal::print(std::string_view text) {
  std::lock_guard lock(mutex_);
  std::string whole(text);
  if (!bar_.empty()) whole = std::string(kEraseLine) + whole;
  bar_.clear();
  write(whole);
}

void Terminal::show_bar(std::string_view text) {
  if (!options_.is_interactive) return;
  std::lock_guard lock(mutex_);
  bar_ = text;
  write(std::string(kEraseLine) + bar_);
}

void Terminal::keep_bar() {
  const std::unique_lock lock(mutex_, kPatience);
  if (!lock.owns_lock() || bar_.empty()) return;
  bar_.clear();
  write("\n");
}

void Terminal::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(options_.descriptor, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace triga
