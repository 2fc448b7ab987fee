#include "launchers/restarts.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "metrics/run_status.h"
#include "trainer/lease.h"

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(100);

}  // namespace

Reached reached(FileSystem& files, const RunDirectory& directory) {
  Reached reached;
  if (const auto status = read_run_status(files, directory.status())) reached.step = status->step;
  for (const Path& checkpoint :
       checkpoints_of_run(files, directory.root).value_or(std::vector<Path>()))
    reached.saved = std::max(reached.saved, step_of(checkpoint.filename().string()).value_or(0));
  return reached;
}

Restarts::Restarts(FileSystem& files, RunDirectory directory, const Options& options,
                   std::function<bool()> is_cancelled, std::ostream& out)
    : files_(files),
      directory_(std::move(directory)),
      options_(options),
      is_cancelled_(std::move(is_cancelled)),
      out_(out),
      folder_(options.folder_patience),
      reached_(options.begins_anew ? Reached() : look().value_or(Reached())) {}

std::optional<Reached> Restarts::look() {
  return folder_.until_read([this] { return reached(files_, directory_); }, is_cancelled_);
}

bool Restarts::again(const StartEnd& end) {
  folder_.begin();
  if (options_.limit == 0 || is_cancelled_() || !can_be_of_a_host(end)) return false;
  if (num_restarts_ == options_.limit) {
    out_ << fmt::format("triga: it was started again {} times (launch.max_restarts): no more\n",
                        options_.limit);
    return false;
  }
  const std::optional<Reached> now = look();
  if (!now)
    out_ << fmt::format("triga: it is not known whether a step was gained: {}\n",
                        folder_.problem());
  if (now && end.has_begun && !end.leaves_host_out && !now->is_beyond(reached_)) {
    out_ << fmt::format("triga: no step was gained since step {}: not started again\n",
                        std::max(reached_.step, reached_.saved));
    return false;
  }
  reached_ = now.value_or(reached_);
  const auto pause_before =
      std::min(options_.longest_pause,
               options_.first_pause * (int64_t{1} << std::min<int64_t>(num_restarts_, 20)));
  ++num_restarts_;
  out_ << fmt::format("triga: starts again in {:g} s ({} of {}; launch.max_restarts)\n",
                      static_cast<double>(pause_before.count()) / 1000.0, num_restarts_,
                      options_.limit)
       << std::flush;
  if (!pause(pause_before, [] { return false; })) return false;
  // Ranks on a host that died could not give the folder up.
  return pause(options_.lease_expiry, [this] {
    const auto holder = folder_.once([this] { return lease_holder(files_, directory_.lease()); });
    return holder && (!*holder || !(*holder)->is_alive);
  });
}

/// Other ends would only come again: a wrong experiment, damaged data, a loss that diverges; or a
/// first start that could not begin.
bool Restarts::can_be_of_a_host(const StartEnd& end) {
  const bool is_lost = end.status == ExitStatus::kCommunication;
  if (!end.has_begun)  // mpirun's own status is 1 where it cannot reach a host
    return num_restarts_ > 0 && (is_lost || end.status == ExitStatus::kInternal);
  if (end.status != ExitStatus::kInternal) return is_lost;
  const auto written = folder_.until_read(
      [this] { return read_run_status(files_, directory_.status()); }, is_cancelled_);
  if (!written)
    out_ << fmt::format("triga: not started again, it is not known whether it crashed: {}\n",
                        folder_.problem());
  return written && *written && !(*written)->signal.empty();
}

bool Restarts::pause(std::chrono::milliseconds duration, const std::function<bool()>& is_over) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end && !is_over()) {
    if (is_cancelled_()) {
      out_ << "triga: a signal ended the wait: not started again\n";
      return false;
    }
    std::this_thread::sleep_for(std::min(kLookEvery, duration));
  }
  return true;
}

}  // namespace triga
