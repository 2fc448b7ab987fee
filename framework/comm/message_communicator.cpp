#include "comm/message_communicator.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "base/large_pages.h"
#include "base/memory_meter.h"
#include "comm/reduce.h"
#include "comm/said_problem.h"
#include "comm/shared_segment.h"
#include "triga/log.h"

namespace triga {
namespace {

Bytes bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes(),
          std::make_shared<at::Tensor>(tensor)};
}

void check_tensor(const at::Tensor& tensor, std::string_view what) {
  TRIGA_CHECK(tensor.defined() && tensor.device().is_cpu() && tensor.is_contiguous() &&
                  is_reducible(tensor.scalar_type()),
              "\"", what,
              "\" needs a contiguous CPU tensor of fp32, fp64, fp16, bf16, int32, int64 or uint8");
}

/// Ranks that share memory, or run alone, by the first of each.
std::vector<std::vector<int>> hosts_of(const std::vector<int>& ranks,
                                       const std::vector<RankPlace>& places) {
  std::vector<std::vector<int>> hosts;
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const std::string& memory = places[static_cast<size_t>(ranks[i])].memory;
    const auto [known, is_new] = index.try_emplace(memory, hosts.size());
    if (is_new || memory.empty()) {
      known->second = hosts.size();
      hosts.emplace_back();
    }
    hosts[known->second].push_back(static_cast<int>(i));
  }
  return hosts;
}

Group make_group(std::string name, std::vector<int> ranks, int own_rank, int id,
                 const std::vector<RankPlace>& places) {
  Group group;
  group.rank = static_cast<int>(std::find(ranks.begin(), ranks.end(), own_rank) - ranks.begin());
  group.hosts = hosts_of(ranks, places);
  group.name = std::move(name);
  group.ranks = std::move(ranks);
  group.id = id;
  return group;
}

std::string gigabytes(size_t bytes) {
  return c10::str(static_cast<double>(bytes >> 20) / 1024, " GB");
}

}  // namespace

std::unique_ptr<Communicator> make_world(std::shared_ptr<Fabric> fabric,
                                         std::shared_ptr<ProgressTable> table,
                                         std::vector<RankPlace> places,
                                         std::chrono::milliseconds deadline) {
  std::vector<int> ranks;
  for (int rank = 0; rank < fabric->size(); ++rank) ranks.push_back(rank);
  Group group = make_group("world", std::move(ranks), fabric->rank(), /*id=*/0, places);
  auto world = std::make_shared<MessageCommunicator::World>(std::move(fabric), std::move(table),
                                                            std::move(places));
  return std::make_unique<MessageCommunicator>(std::move(world), std::move(group), deadline);
}

MessageCommunicator::MessageCommunicator(std::shared_ptr<World> world, Group group,
                                         std::chrono::milliseconds deadline)
    : world_(std::move(world)),
      group_(std::move(group)),
      deadline_(deadline),
      longest_stop_(deadline) {
  HostMemory memory;
  if (group_.hosts.size() < group_.ranks.size()) {  // some share a host
    Channel messages(world_->fabric, world_->table, group_, {}, ProgressStream::kHost,
                     world_->trace);
    memory = share_memory(messages);
  }
  data_ = std::make_shared<Channel>(world_->fabric, world_->table, group_, memory,
                                    ProgressStream::kData, world_->trace);
  data_->set_waiters(waiters_);
  host_ = std::make_shared<Channel>(world_->fabric, world_->table, group_, memory,
                                    ProgressStream::kHost, world_->trace);
  buffers_ = memory.buffers;
}

// The first rank of each host makes its board, the others open it. All ranks have a board, or none.
HostMemory MessageCommunicator::share_memory(Channel& messages) const {
  const std::vector<int>& mine = own_host(group_);
  const auto num_ranks = static_cast<int>(mine.size());
  const auto local =
      static_cast<int>(std::find(mine.begin(), mine.end(), group_.rank) - mine.begin());
  HostMemory memory;
  const auto problem = make_and_open(
      num_ranks > 1 && local == 0, num_ranks > 1 && local > 0,
      [&](const std::string& text, bool is_open) {
        Operation operation = describe(OperationKind::kGatherText,
                                       is_open ? "boards are open" : "addresses of boards");
        operation.numel = static_cast<int64_t>(text.size());
        return messages.gather_texts(operation, text);
      },
      [&] {
        memory.board = HostBoard::create(num_ranks, local);
        return memory.board->address();
      },
      [&](const std::vector<std::string>& addresses) {
        memory.board = HostBoard::open(addresses[static_cast<size_t>(mine[0])], num_ranks, local);
      });
  if (problem) {
    if (group_.rank == 0)
      log_warning("comm", *problem, "; group ", group_.name,
                  " goes over messages, which is slower");
    return {};
  }
  memory.buffers = std::make_shared<SharedBuffers>();
  return memory;
}

MessageCommunicator::~MessageCommunicator() {
  data_->cancel();
  host_->cancel();
  queue_.reset();
  if (group_.id == 0) world_->table->mark_left(group_.ranks[group_.rank]);
}

const std::string& MessageCommunicator::host(int rank) const {
  check_rank(rank, "host");
  return world_->places[static_cast<size_t>(group_.ranks[static_cast<size_t>(rank)])].host;
}

// Data operations.

Work MessageCommunicator::all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) {
  Operation operation = describe(OperationKind::kAllReduce, tensor, what);
  operation.op = op;
  return start(
      [=, channel = data_, data = bytes_of(tensor)] { channel->all_reduce(operation, data); });
}

Work MessageCommunicator::reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                                         std::string_view what) {
  check_tensor(input, what);
  TRIGA_CHECK(
      input.numel() == output.numel() * size() && input.scalar_type() == output.scalar_type(), "\"",
      what, "\": ", input.numel(), " elements into parts of ", output.numel(), " on ", size(),
      " ranks");
  Operation operation = describe(OperationKind::kReduceScatter, output, what);
  operation.op = op;
  return start([=, channel = data_, from = bytes_of(input), to = bytes_of(output)] {
    channel->reduce_scatter(operation, from, to);
  });
}

Work MessageCommunicator::all_gather(const at::Tensor& input, at::Tensor output,
                                     std::string_view what) {
  check_tensor(output, what);
  TRIGA_CHECK(
      output.numel() == input.numel() * size() && input.scalar_type() == output.scalar_type(), "\"",
      what, "\": parts of ", input.numel(), " into ", output.numel(), " elements on ", size(),
      " ranks");
  const Operation operation = describe(OperationKind::kAllGather, input, what);
  return start([=, channel = data_, from = bytes_of(input), to = bytes_of(output)] {
    channel->all_gather(operation, from, to);
  });
}

Work MessageCommunicator::broadcast(at::Tensor tensor, int root, std::string_view what) {
  check_rank(root, what);
  Operation operation = describe(OperationKind::kBroadcast, tensor, what);
  operation.root = root;
  return start(
      [=, channel = data_, data = bytes_of(tensor)] { channel->broadcast(operation, data); });
}

Work MessageCommunicator::send(const at::Tensor& tensor, int to, std::string_view what) {
  return add_transfer(OperationKind::kSend, tensor, to, what);
}

Work MessageCommunicator::recv(at::Tensor tensor, int from, std::string_view what) {
  return add_transfer(OperationKind::kReceive, tensor, from, what);
}

// One operation of the communication thread: the tensor follows its header without a detour.
Work MessageCommunicator::recv_announced(at::Tensor header, std::function<at::Tensor()> make,
                                         int from, std::string_view what) {
  check_rank(from, what);
  TRIGA_CHECK(from != group_.rank && !in_group_, "\"", what, "\" from rank ", from);
  Transfer first{from, describe(OperationKind::kReceive, header, what), bytes_of(header)};
  return start([channel = data_, first, make = std::move(make)] {
    channel->transfer({first});
    const at::Tensor tensor = make();
    if (!tensor.defined()) return;
    Transfer second = first;
    second.operation.type = tensor.scalar_type();
    second.operation.numel = tensor.numel();
    second.bytes = bytes_of(tensor);
    channel->transfer({second});
  });
}

Work MessageCommunicator::add_transfer(OperationKind kind, const at::Tensor& tensor, int peer,
                                       std::string_view what) {
  check_rank(peer, what);
  TRIGA_CHECK(peer != group_.rank, "\"", what, "\" goes from rank ", peer, " to itself");
  Transfer transfer{peer, describe(kind, tensor, what), bytes_of(tensor)};
  if (!in_group_) {
    return start([channel = data_, transfers = std::vector{std::move(transfer)}] {
      channel->transfer(transfers);
    });
  }
  transfers_.push_back(std::move(transfer));
  return OperationQueue::work_of(group_work_);
}

void MessageCommunicator::begin_group() {
  TRIGA_CHECK(!in_group_, "begin_group() inside a group");
  in_group_ = true;
  group_work_ = OperationQueue::prepare();
}

Work MessageCommunicator::end_group() {
  TRIGA_CHECK(in_group_, "end_group() without begin_group()");
  in_group_ = false;
  if (transfers_.empty()) return Work();
  queue().start(group_work_, [channel = data_, transfers = std::move(transfers_)] {
    channel->transfer(transfers);
  });
  transfers_.clear();
  return OperationQueue::work_of(std::move(group_work_));
}

// Host channel.

void MessageCommunicator::barrier(std::string_view what) {
  host_->barrier(describe(OperationKind::kBarrier, what));
}

void MessageCommunicator::all_reduce_values(std::span<double> values, ReduceOp op,
                                            std::string_view what) {
  Operation operation = describe(OperationKind::kAllReduce, what);
  operation.type = at::kDouble;
  operation.op = op;
  operation.numel = static_cast<int64_t>(values.size());
  // The fabric may hold on to memory after an error, when the caller's values are gone: it gets its
  // own.
  const auto copy = std::make_shared<std::vector<double>>(values.begin(), values.end());
  host_->all_reduce(operation,
                    {reinterpret_cast<std::byte*>(copy->data()), values.size_bytes(), copy});
  std::copy(copy->begin(), copy->end(), values.begin());
}

std::vector<std::string> MessageCommunicator::all_gather_text(const std::string& text,
                                                              std::string_view what) {
  Operation operation = describe(OperationKind::kGatherText, what);
  operation.numel = static_cast<int64_t>(text.size());
  return host_->gather_texts(operation, text);
}

std::string MessageCommunicator::broadcast_text(const std::string& text, int root,
                                                std::string_view what) {
  check_rank(root, what);
  Operation operation = describe(OperationKind::kBroadcastText, what);
  operation.root = root;
  const std::string& own = rank() == root ? text : std::string();
  operation.numel = static_cast<int64_t>(own.size());
  return host_->gather_texts(operation, own)[root];
}

// Ranks of one color share the new group's id with those of the other colors; that does no harm,
// since no two ranks are together in both.
std::unique_ptr<Communicator> MessageCommunicator::split(int color, const std::string& name) {
  Operation operation = describe(OperationKind::kSplit, name);
  const std::string own = c10::str(color, " ", world_->next_group_id);
  operation.numel = static_cast<int64_t>(own.size());
  const auto texts = host_->gather_texts(operation, own);
  std::vector<int> ranks;
  int id = 0;
  for (int rank = 0; rank < size(); ++rank) {
    const size_t space = texts[rank].find(' ');
    if (std::stoi(texts[rank].substr(0, space)) == color) ranks.push_back(group_.ranks[rank]);
    id = std::max(id, std::stoi(texts[rank].substr(space + 1)));
  }
  world_->next_group_id = id + 1;
  return std::make_unique<MessageCommunicator>(
      world_, make_group(name, std::move(ranks), group_.fabric_rank(), id, world_->places),
      deadline_);
}

// Each rank makes its own piece, and maps those of its host's ranks.
at::Tensor MessageCommunicator::allocate(int64_t numel, at::ScalarType type) {
  Operation operation = describe(OperationKind::kAllocate, "buffer");
  operation.type = type;
  operation.numel = numel;
  const auto options = at::TensorOptions().dtype(type);
  const bool is_shared = buffers_ != nullptr && numel > 0;
  const size_t bytes = static_cast<size_t>(numel) * elementSize(type);
  // Ranks of other groups (stages of a pipeline) on this host allocate at the same time.
  const auto reserve = [&](size_t wanted) {
    world_->table->set_reserved(group_.ranks[static_cast<size_t>(group_.rank)], wanted);
  };
  if (is_shared) reserve(bytes);
  host_->barrier(operation);
  if (!is_shared) return zeros_in_large_pages(numel, options);
  const ProgressTable::Reserved needed = world_->table->reserved();
  const size_t available = available_memory_bytes();
  std::shared_ptr<SharedSegment> own;
  std::string text;
  if (needed.bytes > available) {
    text = c10::str(kProblem, "buffers for communication: the ", needed.num_ranks,
                    " ranks on host ", host(group_.rank), " need ", gigabytes(needed.bytes),
                    " of memory, of which ", gigabytes(available),
                    " are free. Start fewer ranks on a host, or give the job more memory");
  } else {
    own = SharedSegment::create(bytes);
    text = own->address();
  }
  const auto addresses = all_gather_text(text, "addresses of buffers");
  if (const auto problem = problem_in(addresses)) {
    reserve(0);
    throw OutOfMemoryError(*problem);
  }
  std::vector<std::shared_ptr<SharedSegment>> segments;
  size_t local = 0;
  for (const int rank : own_host(group_)) {
    if (rank == group_.rank) local = segments.size();
    segments.push_back(rank == group_.rank
                           ? own
                           : SharedSegment::open(addresses[static_cast<size_t>(rank)], bytes));
  }
  buffers_->add(std::move(segments), local);
  ask_for_large_pages(own->data(), bytes);
  // Takes the pages now, on this rank's side of the machine; what is taken is reserved no more.
  constexpr size_t kPiece = 64 << 20;
  for (size_t done = 0; done < bytes; done += kPiece) {
    std::memset(own->data() + done, 0, std::min(kPiece, bytes - done));
    reserve(bytes - std::min(bytes, done + kPiece));
  }
  barrier("buffers are open");  // they can be opened only while their makers live
  return at::from_blob(
      own->data(), {numel}, [own](void*) {}, options);
}

void MessageCommunicator::set_step(int64_t step) {
  world_->table->set_step(group_.ranks[group_.rank], step);
}

void MessageCommunicator::finish() {
  TRIGA_CHECK(group_.id == 0, "only the world finishes, not group ", group_.name);
  if (queue_) queue_->drain();
  barrier("end of the run");
  host_->call(describe(OperationKind::kFinish, "end of the run"),
              [fabric = world_->fabric] { fabric->finish(); });
  world_->table->mark_finished(group_.ranks[group_.rank]);
}

// Parts of the above.

Operation MessageCommunicator::describe(OperationKind kind, std::string_view what) const {
  Operation operation;
  operation.kind = kind;
  operation.what = what;
  operation.step = world_->table->step(group_.ranks[group_.rank]);
  operation.deadline = deadline_;
  operation.longest_stop = std::min(deadline_, longest_stop_);
  return operation;
}

Operation MessageCommunicator::describe(OperationKind kind, const at::Tensor& tensor,
                                        std::string_view what) const {
  check_tensor(tensor, what);
  Operation operation = describe(kind, what);
  operation.type = tensor.scalar_type();
  operation.numel = tensor.numel();
  return operation;
}

OperationQueue& MessageCommunicator::queue() {
  if (!queue_)
    queue_ = std::make_unique<OperationQueue>(
        "comm-" + group_.name, [channel = data_] { return channel->is_stuck(); }, waiters_);
  return *queue_;
}

Work MessageCommunicator::start(std::function<void()> operation) {
  if (size() == 1) {
    operation();
    return Work();
  }
  auto work = OperationQueue::prepare();
  queue().start(work, std::move(operation));
  return OperationQueue::work_of(std::move(work));
}

void MessageCommunicator::check_rank(int rank, std::string_view what) const {
  TRIGA_CHECK(rank >= 0 && rank < size(), "\"", what, "\" names rank ", rank, " of a group of ",
              size());
}

}  // namespace triga
