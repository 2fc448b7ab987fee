// CheckReport, and what a crash says: written when a check begins, since a signal handler may not
// make words.
#include "launchers/check_report.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "conformance/subject.h"

namespace triga {
namespace {

constexpr std::array kCrashes = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL};

std::string words_before, words_after;  // of the running check: the signal's name goes between them
std::array<char, 65536> stack;          // another one: the plugin's may be what overflowed

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void say_and_exit(int signal) {
  write_all(words_before);
  const char* name = ::sigabbrev_np(signal);
  write_all(name == nullptr ? "?" : name);
  write_all(words_after);
  ::_exit(static_cast<int>(ExitStatus::kPlugin));
}

void handle_crashes(void (*handler)(int)) {
  stack_t other = {};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  ::sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kCrashes) ::sigaction(signal, &action, nullptr);
}

}  // namespace

CheckReport::CheckReport(std::ostream& out, std::string file) : out_(out), file_(std::move(file)) {
  handle_crashes(say_and_exit);
}

CheckReport::~CheckReport() {
  handle_crashes(SIG_DFL);
}

bool CheckReport::check(const std::string& of, const std::string& claim, const std::string& plugin,
                        const std::function<std::vector<std::string>()>& find_problems) {
  ++num_checks_;
  words_before = fmt::format("FAIL  {}: {}\n        it crashed (SIG", of, claim);
  words_after = fmt::format(
      "): run the same command under a debugger, `gdb --args`, to see where\n"
      "{}: {} of {} checks failed; those that come after it did not run\n",
      file_, num_failed_ + 1, num_checks_);
  const auto problems = conformance::problems_of(plugin, find_problems);
  num_failed_ += problems.empty() ? 0 : 1;
  out_ << (problems.empty() ? "PASS  " : "FAIL  ") << of << ": " << claim << "\n";
  for (const std::string& problem : problems) out_ << "        " << problem << "\n";
  out_.flush();
  return problems.empty();
}

ExitStatus CheckReport::summary() {
  if (num_failed_ == 0)
    out_ << fmt::format("{}: all {} checks passed\n", file_, num_checks_);
  else
    out_ << fmt::format("{}: {} of {} checks failed\n", file_, num_failed_, num_checks_);
  return num_failed_ == 0 ? ExitStatus::kDone : ExitStatus::kPlugin;
}

}  // namespace triga
