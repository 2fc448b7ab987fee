// MessageCommunicator: the Communicator over any fabric of messages. It checks what it is given,
// puts data operations into the order of its communication thread, and runs the host channel in the
// caller. A group of one rank runs everything in the caller and has no thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/channel.h"
#include "comm/communicator.h"
#include "comm/fabric.h"
#include "comm/operation_queue.h"
#include "comm/progress.h"

namespace triga {

/// Where a rank runs. Ranks of one `memory` can share memory; "": this one shares none.
struct RankPlace {
  std::string host;  // name
  std::string memory;
};

/// The group of all ranks of a fabric. `places`: by rank. The table knows this rank already.
/// Collective.
std::unique_ptr<Communicator> make_world(std::shared_ptr<Fabric> fabric,
                                         std::shared_ptr<ProgressTable> table,
                                         std::vector<RankPlace> places,
                                         std::chrono::milliseconds deadline);

class MessageCommunicator final : public Communicator {
 public:
  /// What all groups of one rank share.
  struct World {
    World(std::shared_ptr<Fabric> fabric, std::shared_ptr<ProgressTable> table,
          std::vector<RankPlace> places)
        : fabric(std::move(fabric)),
          table(std::move(table)),
          places(std::move(places)),
          progress(this->table, this->fabric->rank()) {}

    std::shared_ptr<Fabric> fabric;
    std::shared_ptr<ProgressTable> table;
    std::vector<RankPlace> places;
    int next_group_id = 1;
    Progress progress;
    std::shared_ptr<TracePointer> trace = std::make_shared<TracePointer>();
  };

  /// Collective over the group.
  MessageCommunicator(std::shared_ptr<World> world, Group group,
                      std::chrono::milliseconds deadline);
  ~MessageCommunicator() override;

  int rank() const override { return group_.rank; }
  int size() const override { return group_.size(); }
  const std::string& name() const override { return group_.name; }
  const std::string& host(int rank) const override;

  Work all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) override;
  Work reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                      std::string_view what) override;
  Work all_gather(const at::Tensor& input, at::Tensor output, std::string_view what) override;
  Work broadcast(at::Tensor tensor, int root, std::string_view what) override;
  Work send(const at::Tensor& tensor, int to, std::string_view what) override;
  Work recv(at::Tensor tensor, int from, std::string_view what) override;
  Work recv_announced(at::Tensor header, std::function<at::Tensor()> make, int from,
                      std::string_view what) override;
  void begin_group() override;
  Work end_group() override;
  void barrier(std::string_view what) override;

  void all_reduce_values(std::span<double> values, ReduceOp op, std::string_view what) override;
  std::vector<std::string> all_gather_text(const std::string& text, std::string_view what) override;
  std::string broadcast_text(const std::string& text, int root, std::string_view what) override;

  std::unique_ptr<Communicator> split(int color, const std::string& name) override;
  at::Tensor allocate(int64_t numel, at::ScalarType type) override;
  void set_step(int64_t step) override;
  void set_trace(Trace* trace) override { *world_->trace = trace; }
  void set_deadline(std::chrono::milliseconds deadline) override { deadline_ = deadline; }
  Progress& progress() override { return world_->progress; }
  void finish() override;

 private:
  HostMemory share_memory(Channel& messages) const;
  Operation describe(OperationKind kind, std::string_view what) const;
  Operation describe(OperationKind kind, const at::Tensor& tensor, std::string_view what) const;
  OperationQueue& queue();
  Work start(std::function<void()> operation);
  Work add_transfer(OperationKind kind, const at::Tensor& tensor, int peer, std::string_view what);
  void check_rank(int rank, std::string_view what) const;

  const std::shared_ptr<World> world_;
  const Group group_;
  std::chrono::milliseconds deadline_;
  const std::chrono::milliseconds longest_stop_;  // the deadline at first
  std::shared_ptr<Channel> data_, host_;
  const std::shared_ptr<std::atomic<int>> waiters_ =
      std::make_shared<std::atomic<int>>(0);  // for data
  std::shared_ptr<SharedBuffers> buffers_;    // null: no two ranks of the group share a host
  std::unique_ptr<OperationQueue>
      queue_;  // the communication thread; from the first data operation on
  bool in_group_ = false;
  std::shared_ptr<QueuedWork> group_work_;  // of the transfers between begin_group and end_group
  std::vector<Transfer> transfers_;
};

}  // namespace triga
