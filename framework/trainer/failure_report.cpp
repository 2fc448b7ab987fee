#include "trainer/failure_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string_view>
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

constexpr auto kLockPatience = std::chrono::seconds(4);  // below that of LastWords with all of it

/// Those who hold it write a few lines. Null: one of them does not come back.
std::unique_ptr<FileLock> wait_for_lock(FileSystem& files, const RunDirectory& directory) {
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  while (true) {
    if (auto lock = files.try_lock(directory.root / ".failure.lock")) return lock;
    if (std::chrono::steady_clock::now() >= deadline) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

constexpr int kOfItself = 2;

/// How much a report can know: 0 of a rank that missed one elsewhere, 1 of one that hung, or saw
/// another one of its host end, 2 of the one that failed.
int knowledge_of(ExitStatus status, const std::string& host) {
  if (status != ExitStatus::kCommunication) return kOfItself;
  return host.empty() ? 0 : 1;
}

/// Whether there is no report, or one that gives way to this.
bool is_wanted(FileSystem& files, const RunDirectory& directory, const Failure& failure) {
  const auto status = read_run_status(files, directory.status());
  const int known = status && status->exit_status
                        ? knowledge_of(static_cast<ExitStatus>(*status->exit_status), status->host)
                        : 0;
  const int own = knowledge_of(failure.status, failure.host);
  if (!exists(files, directory.failure())) return own >= known;
  // Others hear of a crash after it was reported: what they have reported before came before it.
  return failure.signal.empty() && own > known;
}

/// The status first: it is what decides which report stands, and what programs read.
void write(FileSystem& files, const RunDirectory& directory, const Failure& failure) {
  RunStatus status;
  status.state = RunStatus::State::kFailed;
  status.cause = failure.cause;
  status.step = failure.step;
  status.exit_status = static_cast<int>(failure.status);
  status.host = failure.host;
  status.signal = failure.signal;
  write_run_status(files, directory.status(), status, /*is_durable=*/false);
  replace_file(files, directory.failure(), compose(files, directory, failure));
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
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

Reported report_failure(FileSystem& files, const RunDirectory& directory,
                        const Failure& failure) noexcept {
  try {
    if (!exists(files, directory.root)) return Reported::kNot;
    // All ranks come here within moments: most of them see that it is told, and need no lock.
    if (!is_wanted(files, directory, failure)) return Reported::kGaveWay;
    const auto lock = wait_for_lock(files, directory);
    // The cause itself is not lost to a rank that holds the lock and does not come back.
    if (!lock && knowledge_of(failure.status, failure.host) < kOfItself) return Reported::kNot;
    if (!is_wanted(files, directory, failure)) return Reported::kGaveWay;
    write(files, directory, failure);
    return Reported::kWritten;
  } catch (const std::exception&) {
    return Reported::kNot;
  }
}

void complete_report(FileSystem& files, const RunDirectory& directory,
                     const Failure& failure) noexcept {
  try {
    const auto lock = wait_for_lock(files, directory);
    const auto status = read_run_status(files, directory.status());
    if (!lock || !status || status->host != failure.host ||
        first_line(status->cause) != first_line(failure.cause))
      return;
    write(files, directory, failure);
  } catch (const std::exception&) {  // the short one stays
  }
}

}  // namespace triga
