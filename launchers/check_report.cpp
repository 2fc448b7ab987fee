// CheckReport, and what a crash says: written when a check begins, since a signal handler may not
// make words.
#include "launchers/check_report.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "conformance/subject.h"
#include "launchers/crash.h"

namespace triga {
namespace {

std::string words_before, words_after;  // of the running check: the crash goes between them

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void say_and_exit(int signal) {
  std::array<char, 1024> buffer;
  write_all(words_before);
  write_all(crash_in_words(signal, buffer));
  write_all(words_after);
  ::_exit(static_cast<int>(ExitStatus::kPlugin));
}

}  // namespace

CheckReport::CheckReport(std::ostream& out, std::string file) : out_(out), file_(std::move(file)) {
  handle_crashes(say_and_exit);
}

CheckReport::~CheckReport() {
  say_crashes();
}

bool CheckReport::check(const std::string& of, const std::string& claim, const std::string& plugin,
                        const std::function<std::vector<std::string>()>& find_problems,
                        const std::function<std::string()>& find_nothing) {
  ++num_checks_;
  running_ = fmt::format("FAIL  {}: {}\n        ", of, claim);
  words_before = running_ + "it ";
  words_after = fmt::format(
      ": run the same command under a debugger, `gdb --args`, to see where\n"
      "{}: {} of {} checks failed; those that come after it did not run\n",
      file_, num_failed_ + 1, num_checks_);
  std::string nothing;
  const auto problems = conformance::problems_of(plugin, [&] {
    if (find_nothing) nothing = find_nothing();
    return nothing.empty() ? find_problems() : conformance::Problems();
  });
  num_failed_ += problems.empty() ? 0 : 1;
  num_without_ += nothing.empty() ? 0 : 1;
  out_ << (!problems.empty() ? "FAIL  "
           : nothing.empty() ? "PASS  "
                             : "none  ")
       << of << ": " << claim << (nothing.empty() ? "" : ": " + nothing) << "\n";
  for (const std::string& problem : problems) out_ << "        " << problem << "\n";
  out_.flush();
  return problems.empty();
}

void CheckReport::is_trying(const std::string& what) {
  words_before = running_ + what + ": it ";
}

ExitStatus CheckReport::summary() {
  const std::string without =
      num_without_ == 0 ? "" : fmt::format("; {} had nothing to look at", num_without_);
  if (num_failed_ == 0)
    out_ << fmt::format("{}: all {} checks passed{}\n", file_, num_checks_ - num_without_, without);
  else
    out_ << fmt::format("{}: {} of {} checks failed\n", file_, num_failed_, num_checks_);
  return num_failed_ == 0 ? ExitStatus::kDone : ExitStatus::kPlugin;
}

}  // namespace triga
