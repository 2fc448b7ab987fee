#include "trainer/last_words.h"

#include <c10/util/StringUtil.h>

#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <utility>

#include "base/end_in_time.h"
#include "base/log_outputs.h"
#include "base/run_beside.h"
#include "comm/watch.h"
#include "trainer/lease.h"

namespace triga {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);          // with the disk
constexpr auto kDetailsPatience = std::chrono::seconds(10);  // with it and all threads

/// Where a report has the table of all ranks beside it: it is long.
std::string without_table(const std::string& text) {
  return text.substr(0, text.find(kTableOfRanks));
}

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

/// What fails while a failure is reported adds nothing: the report is as far as it came.
template <class Action>
void attempt(const Action& action) {
  try {
    action();
  } catch (const std::exception&) {
  }
}

}  // namespace

LastWords::LastWords(Communicator& world, FileSystem& files, RunDirectory directory,
                     std::string command, std::function<void()> give_up_lease,
                     std::function<void(const Error&)> leave, std::chrono::milliseconds to_end)
    : world_(world),
      files_(files),
      directory_(std::move(directory)),
      command_(std::move(command)),
      give_up_lease_(std::move(give_up_lease)),
      leave_(std::move(leave)),
      to_end_(to_end) {}

void LastWords::begin(std::string lease_token) {
  const std::lock_guard lock(one_at_a_time_);
  has_begun_ = true;
  lease_token_ = std::move(lease_token);
}

void LastWords::fail(const Error& error) {
  const std::lock_guard lock(one_at_a_time_);
  std::optional<EndInTime> in_time;
  if (leave_) in_time.emplace(to_end_, static_cast<int>(error.status()));
  world_.progress().mark_failed(error.what(), error.status());
  const auto said = say(error, host_of(world_, error.status()), nullptr);
  const bool is_told = said.wait_for(kPatience) == std::future_status::ready &&
                       said.get().reported == Reported::kGaveWay;
  if (!leave_) return;
  if (is_told && error.status() == ExitStatus::kCommunication)
    leave_(CommError(without_table(error.what())));
  else
    leave_(error);
}

void LastWords::hang(const std::string& cause, const std::function<std::string()>& details) {
  const std::lock_guard lock(one_at_a_time_);
  const int rank = world_.rank();
  const CommError error(world_.size() == 1
                            ? cause
                            : c10::str("rank ", rank, " on host ", world_.host(rank), ": ", cause));
  std::optional<EndInTime> in_time;
  if (leave_) in_time.emplace(to_end_, static_cast<int>(error.status()));
  const auto said = say(error, world_.host(rank), details);
  const bool is_said = said.wait_for(kDetailsPatience) == std::future_status::ready;
  world_.progress().mark_failed(cause, ExitStatus::kInternal);  // of its own, not of others
  if (leave_) leave_(CommError(is_said ? error.what() + said.get().details : error.what()));
}

std::shared_future<LastWords::Said> LastWords::say(const Error& error, const std::string& host,
                                                   std::function<std::string()> details) {
  return run_beside([this, error, host, details = std::move(details)] {
           Said said;
           attempt([&] { report(error, host, details, said); });
           attempt(give_up_lease_);
           return said;
         })
      .share();
}

void LastWords::report(const Error& error, const std::string& host,
                       const std::function<std::string()>& details, Said& said) const {
  Failure failure{whose(world_, error.status()) + without_table(error.what()),
                  error.status(),
                  world_.progress().step(),
                  command_,
                  world_.size() > 1 ? world_.progress().to_text() : "",
                  host};
  if (has_begun_ && owns_directory()) said.reported = report_failure(files_, directory_, failure);
  log_to_file(LogLevel::kError, "train", failure.cause);  // the terminal is told by who leaves
  if (details) said.details = "\n" + details();
  if (said.reported != Reported::kWritten) return;
  failure.cause += said.details;
  if (world_.size() > 1)
    attempt([&] { failure.ranks = where_all_were(files_, directory_, world_.progress()); });
  if (world_.size() > 1 || details) complete_report(files_, directory_, failure);
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
