#include "cuda/nccl_link.h"

#include <thread>
#include <utility>

#include "triga/error.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

std::string describe(std::string_view what, ncclResult_t result, ncclComm_t communicator) {
  std::string text = c10::str("NCCL: ", what, ": ", ncclGetErrorString(result));
  const char* more = ncclGetLastError(communicator);
  if (more != nullptr && *more != '\0') text += c10::str(" (", more, ")");
  return text;
}

/// Where a call stands that was begun earlier.
ncclResult_t state_of(ncclComm_t communicator) {
  ncclResult_t result = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(communicator, &result);
  return asked == ncclSuccess ? result : asked;
}

}  // namespace

NcclLink::NcclLink(NcclLinkOptions options) : options_(std::move(options)) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  try {
    const ncclResult_t result =
        ncclCommInitRankConfig(&communicator_, options_.size, options_.id, options_.rank, &config);
    if (result != ncclSuccess && result != ncclInProgress)  // at once: there may be no communicator
      throw CommError(describe("set-up of the group", result, communicator_));
    await("set-up of the group", result, options_.deadline);
  } catch (...) {
    abort();
    throw;
  }
}

NcclLink::~NcclLink() {
  abort();
}

void NcclLink::enqueue(std::string_view what, std::chrono::milliseconds deadline,
                       const std::function<ncclResult_t(ncclComm_t)>& call) {
  std::unique_lock lock(mutex_);
  if (communicator_ == nullptr)
    throw CommError(c10::str("NCCL: ", what, ": the group was given up"));
  const ncclResult_t result = call(communicator_);
  lock.unlock();
  await(what, result, deadline);
}

// NCCL's calls come back with ncclInProgress where they would have to wait.
void NcclLink::await(std::string_view what, ncclResult_t result,
                     std::chrono::milliseconds deadline) const {
  constexpr auto kLookAround = std::chrono::milliseconds(50);
  const auto end = Clock::now() + deadline;
  auto next_look = Clock::now() + kLookAround;
  for (int looks = 0;; ++looks) {
    {
      const std::lock_guard lock(mutex_);
      if (communicator_ == nullptr)
        throw CommError(c10::str("NCCL: ", what, ": the group was given up"));
      if (looks > 0) result = state_of(communicator_);
      if (result == ncclSuccess) return;
      if (result != ncclInProgress) throw CommError(describe(what, result, communicator_));
    }
    if (looks < 1000)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (Clock::now() < next_look) continue;
    next_look = Clock::now() + kLookAround;
    if (const auto failure = options_.find_failure()) throw CommError(*failure);
    if (Clock::now() > end)
      throw CommError(c10::str("NCCL: ", what, " did not end within ", deadline.count() / 1000,
                               " s: a rank did not come, or the network between hosts does not let "
                               "NCCL through (NCCL_DEBUG=INFO tells more)"));
  }
}

std::optional<std::string> NcclLink::error() const {
  const std::lock_guard lock(mutex_);
  if (communicator_ == nullptr) return std::nullopt;
  const ncclResult_t result = state_of(communicator_);
  if (result == ncclSuccess || result == ncclInProgress) return std::nullopt;
  return describe("operation under way", result, communicator_);
}

void NcclLink::abort() noexcept {
  const std::lock_guard lock(mutex_);
  if (communicator_ != nullptr) ncclCommAbort(std::exchange(communicator_, nullptr));
}

ncclUniqueId make_nccl_id() {
  ncclUniqueId id;
  if (const ncclResult_t result = ncclGetUniqueId(&id); result != ncclSuccess)
    throw CommError(describe("making an address", result, nullptr));
  return id;
}

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "unknown";
  return c10::str(version / 10000, ".", version / 100 % 100, ".", version % 100);
}

}  // namespace triga
