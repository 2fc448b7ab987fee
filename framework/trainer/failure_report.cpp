#include "trainer/failure_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>
#include <vector>

#include "checkpoint/layout.h"
#include "metrics/run_status.h"
#include "trainer/rank_record.h"

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
  if (text.ends_with("\n\n")) text.pop_back();
  if (!failure.ranks.empty()) text += "Where the ranks were:\n" + failure.ranks;
  if (text.back() != '\n') text += '\n';
  text += newest.empty()
              ? "No checkpoint was saved.\n"
              : fmt::format("Newest checkpoint: {}\n", (directory.checkpoints() / newest).string());
  return text + fmt::format("To go on: {}\nLogs: {}\n", failure.command, directory.logs().string());
}

/// Those who hold it write a few lines.
std::unique_ptr<FileLock> wait_for_lock(FileSystem& files, const Path& path) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (auto lock = files.try_lock(path)) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return nullptr;
}

/// How much a report can know: 0 of a rank that missed one elsewhere, 1 of one that hung, or saw
/// another one of its host end, 2 of the one that failed.
int knowledge_of(ExitStatus status, const std::string& host) {
  if (status != ExitStatus::kCommunication) return 2;
  return host.empty() ? 0 : 1;
}

/// Whether the report that is there gives way to this one.
bool replaces(FileSystem& files, const RunDirectory& directory, const Failure& failure) {
  // Others hear of a crash after it was reported: what they have reported before came before it.
  if (!failure.signal.empty()) return false;
  const auto status = read_run_status(files, directory.status());
  const int known = status && status->exit_status
                        ? knowledge_of(static_cast<ExitStatus>(*status->exit_status), status->host)
                        : 0;
  return knowledge_of(failure.status, failure.host) > known;
}

}  // namespace

std::string where_all_were(FileSystem& files, const RunDirectory& directory,
                           const Progress& progress) {
  std::istringstream lines(progress.to_text());
  const std::vector<RankRecord> records = read_rank_records(files, directory);
  const double now = seconds_since_1970();
  std::string text, line;
  for (int rank = 0; std::getline(lines, line); ++rank) {
    const auto record = std::find_if(records.begin(), records.end(),
                                     [&](const RankRecord& one) { return one.rank == rank; });
    if (!progress.sees(rank) && record != records.end()) line = "  " + whereabouts(*record, now);
    text += line + "\n";
  }
  return text;
}

void clear_failure(FileSystem& files, const RunDirectory& directory) {
  remove_all(files, directory.failure());
}

std::string report_failure(FileSystem& files, const RunDirectory& directory,
                           const Failure& failure) noexcept {
  try {
    const std::string text = compose(files, directory, failure);
    if (!exists(files, directory.root)) return text;
    // All ranks come here within moments; the first one's words stay, unless they are of somebody
    // else and this is the one.
    const auto lock = wait_for_lock(files, directory.root / ".failure.lock");
    if (lock && (!exists(files, directory.failure()) || replaces(files, directory, failure))) {
      atomic_write(files, directory.failure(), text);
      RunStatus status;
      status.state = RunStatus::State::kFailed;
      status.cause = failure.cause;
      status.step = failure.step;
      status.exit_status = static_cast<int>(failure.status);
      status.host = failure.host;
      status.signal = failure.signal;
      write_run_status(files, directory.status(), status);
    }
    return text;
  } catch (const std::exception&) {
    return failure.cause + "\n";
  }
}

}  // namespace triga
