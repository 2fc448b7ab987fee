// A signal makes each thread write its return addresses into memory that is made beforehand; this
// thread turns them into names, which no signal handler may do.
#include "base/thread_stacks.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/process_stat.h"

namespace triga {
namespace {

constexpr int kMaxCalls = 48;
constexpr int kOwnCalls = 2;  // of the handler, and of what called it

/// What one thread is asked. Each has its own place for the answer: a thread that answers after its
/// time, while the next one is asked, must not write into that one's.
struct Question {
  explicit Question(pid_t asked) : thread(asked) {}

  const pid_t thread;
  std::atomic<bool> is_taken{false};  // it answers once
  std::array<void*, kMaxCalls> calls{};
  std::atomic<int> num_calls{-1};  // -1: no answer yet
};

std::atomic<Question*> question{nullptr};  // one at a time

int signal_number() {
  return SIGRTMIN + 5;
}

void write_calls(int /*signal*/) {
  const int saved = errno;
  Question* const asked = question.load();
  if (asked != nullptr && asked->thread == static_cast<pid_t>(::syscall(SYS_gettid)) &&
      !asked->is_taken.exchange(true))
    asked->num_calls = ::backtrace(asked->calls.data(), kMaxCalls);
  errno = saved;
}

std::string name_of(void* address) {
  Dl_info info{};
  if (::dladdr(address, &info) == 0 || info.dli_fname == nullptr) return fmt::format("{}", address);
  const std::string file = std::filesystem::path(info.dli_fname).filename().string();
  if (info.dli_sname == nullptr)
    return fmt::format(
        "{} +{:#x}", file,
        reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(info.dli_fbase));
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? demangled.get() : info.dli_sname;
  if (constexpr size_t kMost = 120; name.size() > kMost) name = name.substr(0, kMost) + "...";
  return fmt::format("{} ({})", name, file);
}

std::string line_of(const std::filesystem::path& file) {
  std::string line;
  std::getline(std::ifstream(file), line);
  return line;
}

/// What the kernel says of a thread that does not answer.
std::string state_of(const std::filesystem::path& task) {
  const char state = read_process_stat(task).value_or(ProcessStat{}).state;
  const std::string channel = line_of(task / "wchan");
  return fmt::format("    does not answer: its state is {}{}{}\n", state,
                     state == 'D' ? " (in the kernel, on a disk or a network)" : "",
                     channel.empty() || channel == "0" ? "" : ", in " + channel);
}

std::string calls_of(pid_t thread, std::chrono::milliseconds patience,
                     const std::filesystem::path& task) {
  static auto& questions = *new std::deque<Question>;  // never freed: threads may answer late
  Question& asked = questions.emplace_back(thread);
  question = &asked;
  if (::syscall(SYS_tgkill, ::getpid(), thread, signal_number()) != 0) return "";  // it has ended
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (asked.num_calls < 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const int num_calls = asked.num_calls;
  if (num_calls < 0) return state_of(task);
  std::string text;
  for (int i = kOwnCalls; i < num_calls; ++i)
    text += fmt::format("    {}\n", name_of(asked.calls[static_cast<size_t>(i)]));
  return text;
}

}  // namespace

std::string thread_stacks(std::chrono::milliseconds patience) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  std::array<void*, 1> warm_up;
  ::backtrace(warm_up.data(), 1);  // loads libgcc, which no signal handler may do
  struct sigaction action = {};    // stays: a thread may answer late
  action.sa_handler = write_calls;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal_number(), &action, nullptr);

  const auto own = static_cast<pid_t>(::syscall(SYS_gettid));
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error))
    threads.push_back(std::atoi(entry.path().filename().c_str()));
  std::sort(threads.begin(), threads.end());  // the main thread first
  struct Stack {
    std::string name, calls;
    int num_more = 0;
  };
  std::vector<Stack> stacks;
  for (const pid_t thread : threads) {
    if (thread == own) continue;
    const std::filesystem::path task = fmt::format("/proc/self/task/{}", thread);
    const std::string name =
        thread == ::getpid() ? "main thread" : "thread " + line_of(task / "comm");
    const std::string text = calls_of(thread, patience, task);
    if (text.empty()) continue;
    const auto same = std::find_if(stacks.begin(), stacks.end(),
                                   [&](const Stack& one) { return one.calls == text; });
    if (same == stacks.end())
      stacks.push_back({name, text});
    else
      ++same->num_more;
  }
  std::string text;
  for (const auto& [name, calls_text, num_more] : stacks)
    text += fmt::format("  {}{}:\n{}", name,
                        num_more > 0 ? fmt::format(" (and {} more like it)", num_more) : "",
                        calls_text);
  return text;
}

}  // namespace triga
