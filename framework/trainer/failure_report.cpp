#include "trainer/failure_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "checkpoint/layout.h"
#include "metrics/run_status.h"

namespace triga {
namespace {

/// Name of the newest checkpoint, as far as a look at the folder tells.
std::string newest_checkpoint(FileSystem& files, const RunDirectory& directory) {
  std::string newest;
  if (!exists(files, directory.checkpoints())) return newest;
  for (const std::string& name : files.list(directory.checkpoints()))
    if (step_of(name)) newest = name;  // sorted, with leading zeros
  return newest;
}

std::string compose(FileSystem& files, const RunDirectory& directory, const Failure& failure) {
  const std::string newest = newest_checkpoint(files, directory);
  std::string text = fmt::format("The run {} failed at step {} ({:%Y-%m-%d %H:%M:%S}).\n{}\n",
                                 directory.root.string(), failure.step,
                                 fmt::localtime(std::time(nullptr)), failure.cause);
  if (!failure.ranks.empty()) text += "Where the ranks were:\n" + failure.ranks;
  if (text.back() != '\n') text += '\n';
  text += newest.empty()
              ? "No checkpoint was saved.\n"
              : fmt::format("Newest checkpoint: {}\n", (directory.checkpoints() / newest).string());
  return text + fmt::format("To go on: {}\nLogs: {}\n", failure.command, directory.logs().string());
}

}  // namespace

void clear_failure(FileSystem& files, const RunDirectory& directory) {
  remove_all(files, directory.failure());
}

std::string report_failure(FileSystem& files, const RunDirectory& directory,
                           const Failure& failure) noexcept {
  try {
    const std::string text = compose(files, directory, failure);
    if (!exists(files, directory.root)) return text;
    // All ranks come here within moments; the first one's words stay.
    const auto lock = files.try_lock(directory.root / ".failure.lock");
    if (lock && !exists(files, directory.failure())) {
      atomic_write(files, directory.failure(), text);
      RunStatus status;
      status.state = RunStatus::State::kFailed;
      status.cause = failure.cause;
      status.step = failure.step;
      status.exit_status = static_cast<int>(failure.status);
      write_run_status(files, directory.status(), status);
    }
    return text;
  } catch (const std::exception&) {
    return failure.cause + "\n";
  }
}

}  // namespace triga
