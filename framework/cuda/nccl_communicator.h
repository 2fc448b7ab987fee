// NcclCommunicator: data operations on tensors of one CUDA device a rank go over NCCL, on a stream
// of their own that runs beside the computing one. Control, shapes and tensors on the CPU go over
// the communicator of the hosts that it stands on.
//
// An operation waits on the device for what the calling thread's stream has been given so far;
// Work::wait() makes that stream wait for the operation, and blocks no host. Nor do ranks wait for
// each other to compare what they mean: each writes it into a ledger (operation_ledger.h). A watch
// reads those of its host; ranks of other hosts are told in the records of a run.
#pragma once

#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAStream.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/opening.h"
#include "comm/operation_ledger.h"
#include "cuda/device_watch.h"
#include "cuda/nccl_link.h"

namespace triga {

class NcclCommunicator final : public Communicator {
 public:
  /// On this thread's current device. Collective. Throws: CommError.
  NcclCommunicator(std::unique_ptr<Communicator> host, std::chrono::milliseconds deadline);
  ~NcclCommunicator() override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  const std::string& name() const override { return host_->name(); }
  const std::string& host(int rank) const override { return host_->host(rank); }
  at::Device device() const override { return device_; }

  Work all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) override;
  Work reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                      std::string_view what) override;
  Work all_gather(const at::Tensor& input, at::Tensor output, std::string_view what) override;
  Work broadcast(at::Tensor tensor, int root, std::string_view what) override;
  Work send(const at::Tensor& tensor, int to, std::string_view what) override;
  Work recv(at::Tensor tensor, int from, std::string_view what) override;
  void begin_group() override;
  Work end_group() override;

  void barrier(std::string_view what) override;
  void all_reduce_values(std::span<double> values, ReduceOp op, std::string_view what) override;
  std::vector<std::string> all_gather_text(const std::string& text, std::string_view what) override;
  std::string broadcast_text(const std::string& text, int root, std::string_view what) override;

  std::unique_ptr<Communicator> split(int color, const std::string& name) override;
  at::Tensor allocate(int64_t numel, at::ScalarType type) override;
  void set_step(int64_t step) override { host_->set_step(step); }
  void set_deadline(std::chrono::milliseconds deadline) override;
  void set_trace(Trace* trace) override { host_->set_trace(trace); }
  Progress& progress() override { return host_->progress(); }
  void finish() override;

 private:
  struct Transfer {
    at::Tensor tensor;
    int peer;
    Operation operation;
  };
  using Event = std::shared_ptr<c10::cuda::CUDAEvent>;
  using Body = std::function<void(const std::string& name)>;

  NcclLink& link();
  /// Why the ranks cannot go on, as far as is known.
  std::optional<std::string> find_failure();
  /// `part`: what gives type and number of elements.
  Operation describe(OperationKind kind, const at::Tensor& part, std::string_view what);
  void check_tensor(const at::Tensor& tensor, std::string_view what) const;
  void call(const std::string& name, const std::function<ncclResult_t(ncclComm_t)>& function);
  Work start(const Operation& operation, const std::vector<at::Tensor>& tensors, const Body& body);
  void start_into(const Event& end, const std::string& name, const std::vector<at::Tensor>& tensors,
                  DeviceWatch::Callbacks callbacks, const Body& body);
  void reduce(const at::Tensor& tensor, ReduceOp op, const std::string& name);
  Work add_transfer(OperationKind kind, const at::Tensor& tensor, int peer, std::string_view what);

  const std::unique_ptr<Communicator> host_;
  const at::Device device_;
  const c10::cuda::CUDAStream stream_;
  std::chrono::milliseconds deadline_;
  std::shared_ptr<OperationLedger> ledger_;  // null: one rank, or memory cannot be shared
  std::unique_ptr<NcclLink> link_;           // of one rank: from its first operation on
  std::shared_ptr<DeviceWatch> watch_;

  bool in_group_ = false;
  Event group_end_;  // of the transfers between begin_group and end_group
  std::vector<Transfer> transfers_;
};

}  // namespace triga
