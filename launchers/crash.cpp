#include "launchers/crash.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>

#include "base/fixed_text.h"
#include "base/plugin_call.h"
#include "comm/progress.h"
#include "launchers/command.h"
#include "trainer/failure_report.h"
#include "trainer/lease.h"

namespace triga {
namespace {

constexpr std::array kCrashes = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL};

/// strsignal() and sigabbrev_np() are not async-signal-safe by their contract.
const char* name_of(int signal) noexcept {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGABRT:
      return "SIGABRT";
    case SIGFPE:
      return "SIGFPE";
    case SIGBUS:
      return "SIGBUS";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIG?";
  }
}
constexpr int kPatience = 500, kPatienceMs = 20;  // times: until a report is given up

std::array<char, 65536> stack;

/// What a handler needs, made before. Global, as there is one process and a handler has no argument.
struct Prepared {
  std::string executable, command, host, who;  // "rank 1 on host a ", "" for the only one
  std::string run_directory, lease_token;
  std::atomic<bool> has_directory = false;
  Progress* progress = nullptr;
};
Prepared prepared;
std::atomic<bool> has_crashed = false;

void write_all(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// Starts `triga __report-crash` and waits for it, but not for ever. `cause` ends with a zero.
void report(const char* cause, int signal) noexcept {
  std::array<char, 24> step = {};
  std::to_chars(step.data(), step.data() + step.size() - 1, prepared.progress->step());
  const std::array<const char*, 10> arguments = {prepared.executable.c_str(),
                                                 "__report-crash",
                                                 prepared.run_directory.c_str(),
                                                 prepared.lease_token.c_str(),
                                                 step.data(),
                                                 prepared.command.c_str(),
                                                 prepared.host.c_str(),
                                                 name_of(signal),
                                                 cause,
                                                 nullptr};
  const pid_t child = ::_Fork();
  if (child == 0) {
    ::alarm(kPatience * kPatienceMs / 1000);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  for (int i = 0; child > 0 && i < kPatience && ::waitpid(child, nullptr, WNOHANG) == 0; ++i)
    ::poll(nullptr, 0, kPatienceMs);
}

void end_of_signal(int signal) noexcept {
  ::signal(signal, SIG_DFL);
  sigset_t own;
  ::sigemptyset(&own);
  ::sigaddset(&own, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
  ::raise(signal);
}

bool leaves_core() noexcept {
  rlimit core = {};
  return ::getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur > 0;
}

[[noreturn]] void say_and_end(std::string_view words, int signal) noexcept {
  write_all("triga: error: ");
  write_all(words);
  write_all("\n");
  if (leaves_core()) end_of_signal(signal);
  ::_exit(static_cast<int>(ExitStatus::kInternal));
}

void report_and_end(int signal) {
  while (has_crashed.exchange(true)) ::pause();  // another thread's crash is being reported
  std::array<char, 1024> text = {};
  const size_t who = std::min<size_t>(prepared.who.size(), 256);
  std::copy_n(prepared.who.data(), who, text.data());
  const auto words =
      crash_in_words(signal, std::span(text).subspan(who, text.size() - who - 1));  // a zero stays
  if (prepared.has_directory) report(text.data(), signal);
  prepared.progress->mark_failed({text.data(), who + words.size()}, ExitStatus::kInternal);
  say_and_end({text.data(), who + words.size()}, signal);
}

void say_and_end_of(int signal) {
  std::array<char, 1024> text;
  say_and_end(crash_in_words(signal, text), signal);
}

/// The process that reports; the run's own is waiting for it.
ExitStatus report_crash(const std::string& run_directory, const std::string& lease,
                        const Failure& failure) {
  const RunDirectory directory{run_directory};
  if (lease_token(posix_files(), directory.lease()) == lease)  // else it is another run's by now
    report_failure(posix_files(), directory, failure);
  return ExitStatus::kDone;
}

}  // namespace

void handle_crashes(void (*handler)(int signal)) {
  stack_t other = {};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  ::sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kCrashes) ::sigaddset(&action.sa_mask, signal);  // one at a time
  for (const int signal : kCrashes) ::sigaction(signal, &action, nullptr);
}

void say_crashes() {
  handle_crashes(say_and_end_of);
}

std::string_view crash_in_words(int signal, std::span<char> buffer) noexcept {
  FixedText text(buffer);
  text.add("crashed (");
  text.add(name_of(signal));
  text.add(")");
  const size_t size = text.view().size();
  return {buffer.data(), size + PluginCall::describe(buffer.subspan(size)).size()};
}

CrashReporter::CrashReporter(const std::filesystem::path& executable, Communicator& world,
                             const std::string& command) {
  prepared.executable = executable.string();
  prepared.command = command;
  prepared.host = world.host(world.rank());
  prepared.who = world.size() == 1
                     ? ""
                     : fmt::format("rank {} on host {} ", world.rank(), world.host(world.rank()));
  prepared.has_directory = false;
  prepared.progress = &world.progress();
  has_crashed = false;
  handle_crashes(report_and_end);
}

CrashReporter::~CrashReporter() {
  say_crashes();
}

void CrashReporter::begin(const std::filesystem::path& run_directory,
                          const std::string& lease_token) {
  prepared.run_directory = run_directory.string();
  prepared.lease_token = lease_token;
  prepared.has_directory = true;
}

void add_report_crash(CLI::App& app, Command& command) {
  struct Arguments {
    std::string directory, lease;
    Failure failure;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = app.add_subcommand("__report-crash", "")->group("");  // not shown
  sub->add_option("directory", arguments->directory)->required();
  sub->add_option("lease", arguments->lease)->required();
  sub->add_option("step", arguments->failure.step)->required();
  sub->add_option("command", arguments->failure.command)->required();
  sub->add_option("host", arguments->failure.host)->required();
  sub->add_option("signal", arguments->failure.signal)->required();
  sub->add_option("cause", arguments->failure.cause)->required();
  sub->callback([&command, arguments] {
    command.run = [arguments] {
      return report_crash(arguments->directory, arguments->lease, arguments->failure);
    };
  });
}

}  // namespace triga
