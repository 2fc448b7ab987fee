#include "cuda/nccl_communicator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <cstring>
#include <utility>

#include "triga/error.h"

namespace triga {
namespace {

std::optional<ncclDataType_t> nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kHalf:
      return ncclFloat16;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kInt:
      return ncclInt32;
    case at::kLong:
      return ncclInt64;
    case at::kByte:
      return ncclUint8;
    default:
      return std::nullopt;
  }
}

ncclDataType_t type_of(const at::Tensor& tensor) {
  return *nccl_type(tensor.scalar_type());
}

ncclRedOp_t nccl_op(ReduceOp op) {
  return op == ReduceOp::kSum ? ncclSum : op == ReduceOp::kMax ? ncclMax : ncclMin;
}

size_t count(const at::Tensor& tensor) {
  return static_cast<size_t>(tensor.numel());
}

bool is_narrow(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
}

/// NCCL's maximum passes over a NaN, and it rounds a sum of narrow numbers at every rank.
bool needs_own_reduction(const at::Tensor& tensor, ReduceOp op) {
  return op == ReduceOp::kSum ? is_narrow(tensor) : tensor.is_floating_point();
}

/// Of a rank that sees no others.
constexpr const char* kNobodySeen = "a rank does not take part, or it hangs";

/// all_reduce "bucket 3" (step 17).
std::string name_at_step(const Operation& operation) {
  return c10::str(name_of(operation), " (step ", operation.step, ")");
}

/// Of what was begun in the ledger, if there is one.
template <class Begun>
DeviceWatch::Callbacks callbacks_for(const std::shared_ptr<OperationLedger>& ledger,
                                     const Begun& begun) {
  if (!ledger) return {[]() -> std::string { return kNobodySeen; }, [] {}};
  return {[ledger, begun] { return ledger->missing(begun); },
          [ledger, begun] { ledger->end(begun); }};
}

class DeviceWork final : public Work::State {
 public:
  DeviceWork(std::shared_ptr<DeviceWatch> watch, std::shared_ptr<c10::cuda::CUDAEvent> end)
      : watch_(std::move(watch)), end_(std::move(end)) {}

  void wait() override {
    watch_->check();
    check_started();
    end_->block(c10::cuda::getCurrentCUDAStream(end_->device_index()));
  }
  void synchronize() override {
    check_started();
    watch_->await(*end_);
  }
  bool is_done() const override { return end_->isCreated() && end_->query(); }

 private:
  void check_started() const {
    TRIGA_CHECK(end_->isCreated(), "wait() for an operation of a group before end_group()");
  }

  const std::shared_ptr<DeviceWatch> watch_;
  const std::shared_ptr<c10::cuda::CUDAEvent> end_;
};

}  // namespace

NcclCommunicator::NcclCommunicator(std::unique_ptr<Communicator> host,
                                   std::chrono::milliseconds deadline)
    : host_(std::move(host)),
      device_(at::kCUDA, c10::cuda::current_device()),
      stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device_.index())),
      deadline_(deadline) {
  if (size() > 1) {
    ledger_ = OperationLedger::open(*host_);
    if (ledger_) progress().add_ledger(ledger_);
    link();
  }
  watch_ = std::make_shared<DeviceWatch>(
      DeviceWatch::Actions{[this]() -> std::optional<std::string> {
                             if (const auto failure = find_failure()) return failure;
                             return link_ ? link_->error() : std::nullopt;
                           },
                           [this](const std::string& reason, ExitStatus status) {
                             progress().mark_failed(reason, status);
                             if (link_) link_->abort();
                           }});
}

NcclCommunicator::~NcclCommunicator() {
  watch_->stop();  // it uses the link, and Works may outlive this
}

NcclLink& NcclCommunicator::link() {
  if (link_) return *link_;
  NcclLinkOptions options;
  options.rank = rank();
  options.size = size();
  options.deadline = deadline_;
  options.find_failure = [this] { return find_failure(); };
  std::string text(sizeof(ncclUniqueId), '\0');
  if (rank() == 0) {
    const ncclUniqueId id = make_nccl_id();
    std::memcpy(text.data(), &id, sizeof(id));
  }
  text = host_->broadcast_text(text, 0, "address for NCCL");
  std::memcpy(&options.id, text.data(), sizeof(options.id));
  const c10::cuda::CUDAGuard guard(device_);
  link_ = std::make_unique<NcclLink>(std::move(options));
  return *link_;
}

std::optional<std::string> NcclCommunicator::find_failure() {
  if (const auto failure = progress().find_failure()) return failure;
  return ledger_ ? ledger_->find_difference() : std::nullopt;
}

Operation NcclCommunicator::describe(OperationKind kind, const at::Tensor& part,
                                     std::string_view what) {
  Operation operation;
  operation.kind = kind;
  operation.type = part.scalar_type();
  operation.numel = part.numel();
  operation.what = what;
  operation.step = progress().step();
  return operation;
}

void NcclCommunicator::check_tensor(const at::Tensor& tensor, std::string_view what) const {
  TRIGA_CHECK(tensor.defined() && tensor.device() == device_ && tensor.is_contiguous() &&
                  nccl_type(tensor.scalar_type()),
              "\"", what, "\" needs a contiguous tensor on ", device_,
              " or on the CPU, of fp32, fp64, fp16, bf16, int32, int64 or uint8");
}

void NcclCommunicator::call(const std::string& name,
                            const std::function<ncclResult_t(ncclComm_t)>& function) {
  link().enqueue(name, deadline_, function);
}

void NcclCommunicator::start_into(const Event& end, const std::string& name,
                                  const std::vector<at::Tensor>& tensors,
                                  DeviceWatch::Callbacks callbacks, const Body& body) {
  watch_->check();
  const c10::AutoGradMode no_grad(false);
  const c10::cuda::CUDAGuard guard(device_);
  c10::cuda::CUDAEvent ready;
  ready.record(c10::cuda::getCurrentCUDAStream(device_.index()));
  ready.block(stream_);
  for (const at::Tensor& tensor : tensors)
    c10::cuda::CUDACachingAllocator::recordStream(tensor.storage().data_ptr(), stream_);
  {
    const c10::cuda::CUDAStreamGuard own_stream(stream_);
    body(name);
    end->record(stream_);
  }
  watch_->add(name, end, deadline_, std::move(callbacks));
}

Work NcclCommunicator::start(const Operation& operation, const std::vector<at::Tensor>& tensors,
                             const Body& body) {
  TRIGA_CHECK(!in_group_, name_of(operation), " inside a group");
  for (const at::Tensor& tensor : tensors) check_tensor(tensor, operation.what);
  const auto end = std::make_shared<c10::cuda::CUDAEvent>();
  const uint64_t number = ledger_ ? ledger_->begin(operation) : 0;
  start_into(end, name_at_step(operation), tensors, callbacks_for(ledger_, number), body);
  return Work(std::make_shared<DeviceWork>(watch_, end));
}

/// In place, on the own stream.
void NcclCommunicator::reduce(const at::Tensor& tensor, ReduceOp op, const std::string& name) {
  if (!needs_own_reduction(tensor, op)) {
    call(name, [&](ncclComm_t communicator) {
      return ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), count(tensor), type_of(tensor),
                           nccl_op(op), communicator, stream_);
    });
    return;
  }
  at::Tensor result = tensor;
  if (op == ReduceOp::kSum) {
    const at::Tensor wide = tensor.to(at::kFloat);
    reduce(wide, op, name);
    result.copy_(wide);
    return;
  }
  const at::Tensor all = at::empty({size(), tensor.numel()}, tensor.options());
  call(name, [&](ncclComm_t communicator) {
    return ncclAllGather(tensor.data_ptr(), all.data_ptr(), count(tensor), type_of(tensor),
                         communicator, stream_);
  });
  result.view(-1).copy_(op == ReduceOp::kMax ? all.amax(0) : all.amin(0));
}

Work NcclCommunicator::all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) {
  if (tensor.is_cpu()) return host_->all_reduce(std::move(tensor), op, what);
  Operation operation = describe(OperationKind::kAllReduce, tensor, what);
  operation.op = op;
  return start(operation, {tensor}, [&](const std::string& name) { reduce(tensor, op, name); });
}

Work NcclCommunicator::reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                                      std::string_view what) {
  if (input.is_cpu()) return host_->reduce_scatter(input, std::move(output), op, what);
  TRIGA_CHECK(
      input.numel() == output.numel() * size() && input.scalar_type() == output.scalar_type(), "\"",
      what, "\": ", input.numel(), " elements into parts of ", output.numel(), " on ", size(),
      " ranks");
  Operation operation = describe(OperationKind::kReduceScatter, output, what);
  operation.op = op;
  return start(operation, {input, output}, [&](const std::string& name) {
    if (needs_own_reduction(input, op)) {
      const at::Tensor whole = input.clone();
      reduce(whole, op, name);
      output.view(-1).copy_(whole.view(-1).narrow(0, rank() * output.numel(), output.numel()));
      return;
    }
    call(name, [&](ncclComm_t communicator) {
      return ncclReduceScatter(input.data_ptr(), output.data_ptr(), count(output), type_of(output),
                               nccl_op(op), communicator, stream_);
    });
  });
}

Work NcclCommunicator::all_gather(const at::Tensor& input, at::Tensor output,
                                  std::string_view what) {
  if (output.is_cpu()) return host_->all_gather(input, std::move(output), what);
  TRIGA_CHECK(
      output.numel() == input.numel() * size() && input.scalar_type() == output.scalar_type(), "\"",
      what, "\": parts of ", input.numel(), " into ", output.numel(), " elements on ", size(),
      " ranks");
  const Operation operation = describe(OperationKind::kAllGather, input, what);
  return start(operation, {input, output}, [&](const std::string& name) {
    call(name, [&](ncclComm_t communicator) {
      return ncclAllGather(input.data_ptr(), output.data_ptr(), count(input), type_of(input),
                           communicator, stream_);
    });
  });
}

Work NcclCommunicator::broadcast(at::Tensor tensor, int root, std::string_view what) {
  TRIGA_CHECK(root >= 0 && root < size(), "\"", what, "\" names rank ", root, " of ", size());
  if (tensor.is_cpu()) return host_->broadcast(std::move(tensor), root, what);
  Operation operation = describe(OperationKind::kBroadcast, tensor, what);
  operation.root = root;
  return start(operation, {tensor}, [&](const std::string& name) {
    call(name, [&](ncclComm_t communicator) {
      return ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), count(tensor), type_of(tensor),
                           root, communicator, stream_);
    });
  });
}

Work NcclCommunicator::send(const at::Tensor& tensor, int to, std::string_view what) {
  if (tensor.is_cpu()) return host_->send(tensor, to, what);
  return add_transfer(OperationKind::kSend, tensor, to, what);
}

Work NcclCommunicator::recv(at::Tensor tensor, int from, std::string_view what) {
  if (tensor.is_cpu()) return host_->recv(std::move(tensor), from, what);
  return add_transfer(OperationKind::kReceive, tensor, from, what);
}

Work NcclCommunicator::add_transfer(OperationKind kind, const at::Tensor& tensor, int peer,
                                    std::string_view what) {
  TRIGA_CHECK(peer >= 0 && peer < size() && peer != rank(), "\"", what, "\" is between rank ",
              rank(), " and rank ", peer, " of ", size());
  check_tensor(tensor, what);
  const bool alone = !in_group_;
  if (alone) begin_group();
  transfers_.push_back({tensor, peer, describe(kind, tensor, what)});
  Work work(std::make_shared<DeviceWork>(watch_, group_end_));
  if (alone) end_group();
  return work;
}

void NcclCommunicator::begin_group() {
  TRIGA_CHECK(!in_group_, "begin_group() inside a group");
  in_group_ = true;
  group_end_ = std::make_shared<c10::cuda::CUDAEvent>();
  host_->begin_group();
}

Work NcclCommunicator::end_group() {
  TRIGA_CHECK(in_group_, "end_group() without begin_group()");
  in_group_ = false;
  const Work on_hosts = host_->end_group();
  const std::vector<Transfer> transfers = std::exchange(transfers_, {});
  if (transfers.empty()) return on_hosts;
  std::vector<at::Tensor> tensors;
  std::vector<OperationLedger::BegunMessage> begun;
  for (const Transfer& one : transfers) {
    tensors.push_back(one.tensor);
    if (ledger_) begun.push_back(ledger_->begin_message(one.operation, one.peer));
  }
  const auto body = [&](const std::string& name) {
    call(name, [&](ncclComm_t communicator) {
      ncclResult_t result = ncclGroupStart();
      for (const Transfer& one : transfers) {
        if (result != ncclSuccess && result != ncclInProgress) break;
        const bool is_send = one.operation.kind == OperationKind::kSend;
        result = is_send ? ncclSend(one.tensor.data_ptr(), count(one.tensor), type_of(one.tensor),
                                    one.peer, communicator, stream_)
                         : ncclRecv(one.tensor.data_ptr(), count(one.tensor), type_of(one.tensor),
                                    one.peer, communicator, stream_);
      }
      const ncclResult_t ended = ncclGroupEnd();
      return result == ncclSuccess || result == ncclInProgress ? ended : result;
    });
  };
  start_into(group_end_, name_at_step(transfers[0].operation), tensors,
             callbacks_for(ledger_, begun), body);
  return Work(std::make_shared<DeviceWork>(watch_, group_end_));
}

// The host channel. What a device's operation was given up for is the better explanation.

void NcclCommunicator::barrier(std::string_view what) {
  watch_->check();
  host_->barrier(what);
}

void NcclCommunicator::all_reduce_values(std::span<double> values, ReduceOp op,
                                         std::string_view what) {
  watch_->check();
  host_->all_reduce_values(values, op, what);
}

std::vector<std::string> NcclCommunicator::all_gather_text(const std::string& text,
                                                           std::string_view what) {
  watch_->check();
  return host_->all_gather_text(text, what);
}

std::string NcclCommunicator::broadcast_text(const std::string& text, int root,
                                             std::string_view what) {
  watch_->check();
  return host_->broadcast_text(text, root, what);
}

std::unique_ptr<Communicator> NcclCommunicator::split(int color, const std::string& name) {
  const c10::cuda::CUDAGuard guard(device_);
  return std::make_unique<NcclCommunicator>(host_->split(color, name), deadline_);
}

at::Tensor NcclCommunicator::allocate(int64_t numel, at::ScalarType type) {
  host_->barrier("buffer");
  return at::zeros({numel}, at::TensorOptions().dtype(type).device(device_));
}

void NcclCommunicator::set_deadline(std::chrono::milliseconds deadline) {
  deadline_ = deadline;
  host_->set_deadline(deadline);
}

void NcclCommunicator::finish() {
  watch_->check();
  const auto end = std::make_shared<c10::cuda::CUDAEvent>();
  end->record(stream_);
  watch_->await(*end);
  host_->finish();
}

}  // namespace triga
