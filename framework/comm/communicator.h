// Communicator: collective and point-to-point operations of a group of ranks. The trainer and
// everything in parallel/ see only this; how bytes move is a matter of the implementation:
// local_communicator (threads of one process, for tests and for a run of one rank), mpi/
// (libtriga_mpi.so), NCCL (libtriga_cuda.so).
//
// Data operations work on tensors and return a Work at once. They run in the order in which they
// were started, off the calling thread where the implementation can (MPI: a communication thread),
// so that they overlap with computing. *Collective* below means: every rank of the group must call
// it, in the same order, with the same shapes and types.
//
// Every operation has a name (for people), a sequence number and a deadline. When a peer has died,
// or the deadline has passed, or ranks disagree on what is done next, wait() throws CommError that
// says which rank and host, at which step and operation, and who was missing. After a CommError the
// communicator can only be destroyed; destruction does not block, and the process ends with _exit:
// MPI cannot be brought down in order any more.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/progress.h"
#include "triga/error.h"

namespace triga {

class Trace;

enum class ReduceOp { kSum, kMax, kMin };

/// An operation under way. Copies refer to the same operation. The tensors of the operation are
/// kept alive by it.
class Work {
 public:
  class State {  // what an implementation provides
   public:
    virtual ~State() = default;
    virtual void
    wait() = 0;  // later work of the calling thread (the current stream) sees the result
    virtual void synchronize() = 0;  // the host blocks until it is done
    virtual bool is_done() const = 0;
  };

  Work() = default;  // an operation that is done
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}

  /// Throws: CommError. Calling it again is harmless.
  void wait() {
    if (state_) state_->wait();
  }
  void synchronize() {
    if (state_) state_->synchronize();
  }
  bool is_done() const { return !state_ || state_->is_done(); }

 private:
  std::shared_ptr<State> state_;
};

/// Threads: one thread at a time calls a communicator. Groups of the same ranks may be called by
/// different threads.
class Communicator {
 public:
  /// Operations that are not done are given up.
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "world", "data", "pipeline".
  virtual const std::string& name() const = 0;
  /// Host name of a rank of this group.
  virtual const std::string& host(int rank) const = 0;
  /// Where this rank computes: the device of the tensors of its data operations. The default is the
  /// CPU.
  virtual at::Device device() const { return at::kCPU; }

  // Data operations. Tensors: contiguous, fp32, fp64, fp16, bf16, int32, int64 or uint8, on the
  // device of the group or on the CPU. fp16 and bf16 sums are accumulated in fp32. Sums are the
  // same to the bit on all ranks and do not depend on how a tensor is cut into operations (with
  // NCCL and more than two ranks: they are the same for the same cut). A NaN of any rank wins in
  // kMax and kMin too. `what` names the operation in messages ("gradients of bucket 3") and is
  // compared among the ranks.

  /// In place. Collective.
  virtual Work all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) = 0;
  /// `input`: size() equal parts; `output`: part rank() of the sum, may be the own part of `input`.
  /// Collective.
  virtual Work reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                              std::string_view what) = 0;
  /// `output`: size() parts, each as large as `input`; `input` may be the own part of `output`.
  /// Collective.
  virtual Work all_gather(const at::Tensor& input, at::Tensor output, std::string_view what) = 0;
  /// In place. Collective.
  virtual Work broadcast(at::Tensor tensor, int root, std::string_view what) = 0;
  virtual Work send(const at::Tensor& tensor, int to, std::string_view what) = 0;
  virtual Work recv(at::Tensor tensor, int from, std::string_view what) = 0;
  /// Receives a header, then what it announces: `make(header)`, a tensor to receive into, undefined
  /// for none. The other side sends both, one after the other. `make` runs once the header is
  /// here, in any thread, and throws nothing. Not between begin_group and end_group.
  virtual Work recv_announced(at::Tensor header, std::function<at::Tensor()> make, int from,
                              std::string_view what);
  /// Point-to-point operations between the two run together, in any order, without deadlock;
  /// messages from one rank to another keep their order. The Work of each is that of the whole
  /// group. Nothing starts before end_group().
  virtual void begin_group() = 0;
  virtual Work end_group() = 0;

  // The host channel: small blocking messages between hosts' memories, for control and shapes,
  // whatever the device. Independent of the order of data operations under way.

  /// Blocks until all ranks are here. Collective.
  virtual void barrier(std::string_view what) = 0;
  /// In place. Collective.
  virtual void all_reduce_values(std::span<double> values, ReduceOp op, std::string_view what) = 0;
  /// Every rank's text, by rank. Collective.
  virtual std::vector<std::string> all_gather_text(const std::string& text,
                                                   std::string_view what) = 0;
  /// The root's text. Collective.
  virtual std::string broadcast_text(const std::string& text, int root, std::string_view what) = 0;

  /// A group of those who give the same color, ranked by their rank here. Collective over this
  /// group.
  virtual std::unique_ptr<Communicator> split(int color, const std::string& name) = 0;

  /// A zeroed tensor [numel] in the memory where this communicator is fastest. Collective.
  virtual at::Tensor allocate(int64_t numel, at::ScalarType type) = 0;

  /// For messages: the step that this rank is at, in all its groups.
  virtual void set_step(int64_t step) = 0;
  /// How long an operation started from now on may take before it is an error. Groups split off
  /// later inherit it.
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;

  /// Operations of all groups of this rank are recorded there while it records; null: no more. It
  /// must outlive the communicators, or be taken away.
  virtual void set_trace(Trace* trace) = 0;

  /// What this rank is doing, for the explanation of a failure; the same object in all groups of a
  /// rank.
  virtual Progress& progress() = 0;

  /// The regular end of a run: all ranks have come here and nothing is under way; MPI is brought
  /// down. A communicator that is destroyed without it has left the run: peers that still need it
  /// end with CommError. Only of the world. Collective.
  virtual void finish() = 0;
};

}  // namespace triga
