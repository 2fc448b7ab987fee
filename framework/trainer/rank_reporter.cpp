#include "trainer/rank_reporter.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <set>

#include "comm/operation_ledger.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr int kRanksASecond = 64;      // that write: what a file system of many ranks is to bear
constexpr double kSilentSeconds = 10;  // at least: writing a record may take its time, too

double seconds_between_records(int world_size) {
  return std::max(1.0, static_cast<double>(world_size) / kRanksASecond);
}

/// Several records fit between two looks.
std::chrono::milliseconds pause_between_looks(int world_size) {
  return std::chrono::milliseconds(
      static_cast<int64_t>(3000 * seconds_between_records(world_size)));
}

}  // namespace

RankReporter::RankReporter(Communicator& world, const Trace& trace, const StepClock& clock,
                           FileSystem& files, const RunDirectory& directory,
                           const Stragglers::Options& stragglers)
    : progress_(world.progress()),
      trace_(trace),
      clock_(clock),
      files_(files),
      directory_(directory),
      stragglers_(stragglers),
      silent_ranks_(SilentRanks::to_look_at(world), pause_between_looks(world.size())) {
  record_.rank = world.rank();
  record_.world_size = world.size();
  record_.host = world.host(world.rank());
  record_.pid = ::getpid();
  record_.every_seconds = seconds_between_records(world.size());
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "triga-report");
    run();
  });
}

RankReporter::~RankReporter() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (const SilentRanks::Silence& one : silent_ranks_.silences())
    progress_.set_silence(one.rank, std::chrono::milliseconds(0));
  try {
    files_.remove_file(directory_.rank_record(record_.rank));
  } catch (const std::exception&) {  // none was written, or the disk is gone
  }
}

void RankReporter::run() {
  const std::chrono::duration<double> every(record_.every_seconds);
  std::unique_lock lock(mutex_);
  do {
    lock.unlock();
    try {
      progress_.sample_oom_kills();
      write();  // throws where the disk is gone: then nobody is blamed for being silent
      look_for_silent_ranks();
      compare_operations();
      if (record_.rank == 0 && record_.world_size > 1) look_for_stragglers();
    } catch (const std::exception& error) {
      if (!has_warned_)
        log_warning("train", "cannot say how this rank is doing (triga status): ", error.what());
      has_warned_ = true;
    }
    lock.lock();
  } while (!wake_.wait_for(lock, every, [this] { return is_stopping_; }));
}

void RankReporter::write() {
  const RankProgress own = progress_.own();
  record_.stage_rank = stage_rank_;
  record_.step = own.step;
  record_.stage = own.doing.stage;
  record_.microbatch = own.doing.microbatch;
  record_.what = own.what;
  record_.is_waiting = trace_.is_waiting();
  record_.still_seconds = std::max(0.0, static_cast<double>(Trace::now_ns() - own.moved_ns) * 1e-9);
  record_.written_at = seconds_since_1970();
  record_.num_failed_saves = num_failed_saves_;
  record_.work = clock_.work();
  record_.begun.clear();
  for (const auto& ledger : progress_.ledgers())
    for (BegunOperation& one : ledger->to_tell()) record_.begun.push_back(std::move(one));
  write_rank_record(directory_, record_);
}

void RankReporter::look_for_silent_ranks() {
  silent_ranks_.look(
      [this](int rank) -> std::optional<double> {
        const auto record = read_rank_record(files_, directory_, rank);
        return record ? std::optional(record->written_at) : std::nullopt;
      },
      std::chrono::steady_clock::now());
  const double least = std::max(kSilentSeconds, 5 * record_.every_seconds);
  for (const SilentRanks::Silence& one : silent_ranks_.silences()) {
    const std::chrono::duration<double> silent = one.duration;
    progress_.set_silence(one.rank,
                          silent.count() > least ? one.duration : std::chrono::milliseconds(0));
  }
}

void RankReporter::compare_operations() {
  const auto ledgers = progress_.ledgers();
  std::set<int> ranks;
  for (const auto& ledger : ledgers)
    for (const int rank : ledger->to_compare_with()) ranks.insert(rank);
  for (const int rank : ranks) {
    if (is_stopping()) return;
    const auto record = read_rank_record(files_, directory_, rank);
    if (!record) continue;
    for (const BegunOperation& one : record->begun)
      for (const auto& ledger : ledgers)
        if (const auto difference = ledger->compare(rank, one))
          progress_.mark_failed(*difference, ExitStatus::kCommunication);
  }
}

bool RankReporter::is_stopping() {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

void RankReporter::look_for_stragglers() {
  const auto now = std::chrono::steady_clock::now();
  if (!stragglers_.is_due(now)) return;
  for (const std::string& line : stragglers_.look(read_rank_records(files_, directory_), now))
    log_warning("train", line);
}

}  // namespace triga
