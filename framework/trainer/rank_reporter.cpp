#include "trainer/rank_reporter.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "triga/log.h"

namespace triga {
namespace {

constexpr int kRanksASecond = 64;  // that write: what a file system of many ranks is to bear

}  // namespace

RankReporter::RankReporter(Communicator& world, const Trace& trace, const StepClock& clock,
                           FileSystem& files, const RunDirectory& directory,
                           const Stragglers::Options& stragglers)
    : progress_(world.progress()),
      trace_(trace),
      clock_(clock),
      files_(files),
      directory_(directory),
      stragglers_(stragglers) {
  record_.rank = world.rank();
  record_.world_size = world.size();
  record_.host = world.host(world.rank());
  record_.pid = ::getpid();
  record_.every_seconds = std::max(1.0, static_cast<double>(world.size()) / kRanksASecond);
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
      write();
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
  record_.work = clock_.work();
  write_rank_record(directory_, record_);
}

void RankReporter::look_for_stragglers() {
  const auto now = std::chrono::steady_clock::now();
  if (!stragglers_.is_due(now)) return;
  for (const std::string& line : stragglers_.look(read_rank_records(files_, directory_), now))
    log_warning("train", line);
}

}  // namespace triga
