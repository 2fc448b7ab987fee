// NcclLink: one communicator of NCCL, made without blocking: whatever NCCL waits for, the host
// comes back, and looks whether the run has failed and whether the deadline has passed.
#pragma once

#include <nccl.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace triga {

struct NcclLinkOptions {
  int rank = 0, size = 1;
  ncclUniqueId id{};                     // of all ranks the same
  std::chrono::milliseconds deadline{};  // of the set-up
  /// Why the run cannot go on, as far as is known; asked while NCCL is waited for.
  std::function<std::optional<std::string>()> find_failure;
};

/// Threads: one thread at a time enqueues; abort() and error() may be called by another one.
class NcclLink {
 public:
  /// Throws: CommError. Collective.
  explicit NcclLink(NcclLinkOptions options);
  /// Gives up what is under way; does not wait for peers.
  ~NcclLink();
  NcclLink(const NcclLink&) = delete;
  NcclLink& operator=(const NcclLink&) = delete;

  /// Until NCCL has taken the operation over (not until it is done), for `deadline` at most. Throws:
  /// CommError.
  void enqueue(std::string_view what, std::chrono::milliseconds deadline,
               const std::function<ncclResult_t(ncclComm_t)>& call);

  /// What NCCL found out on its own: a peer's connection broke, for instance.
  std::optional<std::string> error() const;
  /// Ends what is under way; the device goes on. Afterwards the link can only be destroyed.
  void abort() noexcept;

 private:
  void await(std::string_view what, ncclResult_t result, std::chrono::milliseconds deadline) const;

  const NcclLinkOptions options_;
  mutable std::mutex mutex_;           // NCCL's calls on what follows, none of which blocks
  ncclComm_t communicator_ = nullptr;  // null: given up
};

/// For rank 0, which tells it the others. Throws: CommError.
ncclUniqueId make_nccl_id();
/// "2.28.9".
std::string nccl_version();

}  // namespace triga
