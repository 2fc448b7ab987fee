#include "trainer/last_words.h"

#include <c10/util/StringUtil.h>

#include <chrono>
#include <exception>
#include <utility>

#include "trainer/failure_report.h"
#include "trainer/lease.h"

namespace triga {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);  // with the disk

/// Before a cause that is this rank's own; causes of all ranks and of others name whom they mean.
std::string whose(const Communicator& world, ExitStatus status) {
  const bool is_own = status != ExitStatus::kCommunication && status != ExitStatus::kDiverged &&
                      status != ExitStatus::kUsage;
  if (!is_own || world.size() == 1) return "";
  return c10::str("rank ", world.rank(), " on host ", world.host(world.rank()), ": ");
}

/// On which it happened; "": somewhere else.
std::string host_of(Communicator& world, ExitStatus status) {
  const bool is_here = status != ExitStatus::kCommunication || world.progress().has_lost_one();
  return is_here ? world.host(world.rank()) : "";
}

}  // namespace

LastWords::LastWords(Communicator& world, FileSystem& files, RunDirectory directory,
                     std::string command, std::function<void(const Error&)> leave)
    : world_(world),
      files_(files),
      directory_(std::move(directory)),
      command_(std::move(command)),
      leave_(std::move(leave)) {}

void LastWords::begin(std::string lease_token, std::function<void()> give_up_lease) {
  const std::lock_guard lock(one_at_a_time_);
  has_begun_ = true;
  lease_token_ = std::move(lease_token);
  give_up_lease_ = std::move(give_up_lease);
}

void LastWords::fail(const Error& error) {
  const std::lock_guard lock(one_at_a_time_);
  world_.progress().mark_failed(error.what(), error.status());
  const auto done = report(error, host_of(world_, error.status()));
  if (leave_) leave_(error);
}

void LastWords::hang(const std::string& cause) {
  const std::lock_guard lock(one_at_a_time_);
  const int rank = world_.rank();
  const CommError error(world_.size() == 1
                            ? cause
                            : c10::str("rank ", rank, " on host ", world_.host(rank), ": ", cause));
  const auto done = report(error, world_.host(rank));
  world_.progress().mark_failed(cause, ExitStatus::kInternal);  // of its own, not of others
  if (leave_) leave_(error);
}

std::future<void> LastWords::report(const Error& error, const std::string& host) {
  auto done = std::async(std::launch::async, [this, error, host] {
    if (!has_begun_) return;
    if (owns_directory()) {
      const std::string ranks =
          world_.size() > 1 ? where_all_were(files_, directory_, world_.progress()) : "";
      report_failure(files_, directory_,
                     {whose(world_, error.status()) + error.what(), error.status(),
                      world_.progress().step(), command_, ranks, host});
    }
    give_up_lease_();
  });
  done.wait_for(kPatience);
  return done;
}

/// Rank 0 gives the lease up only after it reported: who finds none has nothing to add.
bool LastWords::owns_directory() const {
  try {
    return lease_token(files_, directory_.lease()) == lease_token_;
  } catch (const std::exception&) {  // a disk that fails: what cannot be read is not written either
    return false;
  }
}

}  // namespace triga
