#include "plugin_host/trial.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/version.h>

#include <chrono>
#include <cstring>
#include <fstream>

#include "base/child_process.h"
#include "plugin_host/library.h"
#include "triga/error.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPassed = "triga: opened plugin ";
constexpr size_t kMaxOutput = 16384;  // bytes that are kept of what the child prints
constexpr int kPluginStatus = static_cast<int>(ExitStatus::kPlugin);

std::string last_words(const std::string& output) {
  return output.empty() ? "" : c10::str("\n  its last words:\n", output);
}

/// Nothing when the child came through.
std::string what_went_wrong(const ChildProcess::Outcome& outcome,
                            std::chrono::milliseconds time_limit) {
  const int status = outcome.wait_status;
  if (outcome.timed_out)
    return c10::str("loading it did not end within ", time_limit.count() / 1000.0,
                    " s: a static initialiser of it hangs", last_words(outcome.output));
  if (WIFSIGNALED(status))
    return c10::str("loading it ended the process that tried it with signal ", WTERMSIG(status),
                    " (", ::strsignal(WTERMSIG(status)),
                    "): a static initialiser of it throws or crashes", last_words(outcome.output));
  const auto line = outcome.output.rfind(kPassed);
  if (WEXITSTATUS(status) == 0 && line != std::string::npos) return "";
  return c10::str("loading it left the process that tried it with status ", WEXITSTATUS(status),
                  ": a static initialiser of it calls exit()", last_words(outcome.output));
}

/// Another Triga or LibTorch may open the same file otherwise.
fs::path memory_of(const PluginFile& file, const PluginTrial& trial) {
  return trial.cache_dir / "plugins" /
         c10::str("opened-", file.content_hash, "-triga-", TRIGA_VERSION, "-libtorch-",
                  TORCH_VERSION);
}

bool is_remembered(const PluginFile& file, const PluginTrial& trial) {
  std::error_code ignored;
  return !trial.cache_dir.empty() && fs::exists(memory_of(file, trial), ignored);
}

void remember(const PluginFile& file, const PluginTrial& trial) {
  if (trial.cache_dir.empty()) return;
  const auto memory = memory_of(file, trial);
  std::error_code ignored;  // the cost is another trial the next time
  fs::create_directories(memory.parent_path(), ignored);
  std::ofstream(memory) << file.path.string() << "\n";
}

ChildProcess::Outcome run(const std::vector<std::string>& command,
                          std::chrono::milliseconds time_limit) {
  try {
    ChildProcess child(command, ChildProcess::Streams::kPipe, kMaxOutput);
    return child.wait(std::chrono::steady_clock::now() + time_limit);
  } catch (const Error& error) {
    throw PluginError(c10::str("the process that tries a plugin: ", error.what()));
  }
}

}  // namespace

void try_in_child(const PluginFile& file, const PluginTrial& trial) {
  if (is_remembered(file, trial)) return;
  auto command = trial.command;
  TRIGA_CHECK(!command.empty(), "no command to try a plugin with");
  command.push_back(file.path.string());
  const ChildProcess::Outcome outcome = run(command, trial.time_limit);
  if (!outcome.timed_out && WIFEXITED(outcome.wait_status) &&
      WEXITSTATUS(outcome.wait_status) == kPluginStatus)
    throw PluginError(outcome.output.substr(0, outcome.output.find_last_not_of('\n') + 1));
  const auto wrong = what_went_wrong(outcome, trial.time_limit);
  if (!wrong.empty())
    throw PluginError(c10::str(file.path.string(), " can not be opened as a plugin: ", wrong));
  remember(file, trial);
}

std::string open_for_trial(const fs::path& path) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const auto file = PluginFile::inspect(path);
  const auto& descriptor = load_plugin(file);
  registered_kinds(descriptor, file);
  return c10::str(kPassed, descriptor.name, " ", descriptor.version);
}

}  // namespace triga
