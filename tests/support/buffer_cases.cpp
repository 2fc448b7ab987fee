// Cases of the communicator suite about tensors in memory that the communicator allocated.
#include "tests/support/communicator_suite.h"
#include "tests/support/communicator_values.h"

namespace triga::testing {
namespace {

void all_reduce_in_a_buffer(Communicator& world) {
  const auto buffer = make_buffer(world);
  for (const auto type : kTypes)
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin})
      for (const int64_t numel : kSizes) {
        const auto tensor = in_buffer(buffer, values(world.rank(), numel, type));
        world.all_reduce(tensor, op, "numbers").wait();
        expect_equal(tensor, reduced(world.size(), numel, type, op), "all_reduce");
      }
  const int64_t numel = kManyRounds * world.size() + 7;  // not from the buffer's start
  const auto large = world.allocate(numel + 3, at::kFloat).narrow(0, 3, numel);
  large.copy_(values(world.rank(), numel, at::kFloat));
  world.all_reduce(large, ReduceOp::kSum, "many numbers").wait();
  expect_equal(large, reduced(world.size(), numel, at::kFloat, ReduceOp::kSum), "all_reduce");
}

void reduce_scatter_in_a_buffer(Communicator& world) {
  const auto buffer = make_buffer(world);
  for (const auto type : kTypes)
    for (const int64_t numel : kSizes) {
      const auto all = values(world.rank(), numel * world.size(), type);
      const auto expected =
          reduced(world.size(), numel, type, ReduceOp::kSum, world.rank() * numel);
      const auto input = in_buffer(buffer, all);
      const auto output = at::empty({numel}, type);
      world.reduce_scatter(input, output, ReduceOp::kSum, "parts").wait();
      expect_equal(output, expected, "reduce_scatter");
      expect_equal(input, all, "input of reduce_scatter");
      const auto own = input.narrow(0, world.rank() * numel, numel);
      world.reduce_scatter(input, own, ReduceOp::kSum, "parts in place").wait();
      expect_equal(own, expected, "reduce_scatter in place");
    }
}

void all_gather_in_a_buffer(Communicator& world) {
  const auto buffer = make_buffer(world);
  for (const auto type : kTypes)
    for (const int64_t numel : kSizes) {
      const auto output = in_buffer(buffer, at::zeros({numel * world.size()}, type));
      const auto own = values(world.rank(), numel, type);
      world.all_gather(own, output, "parts").wait();
      for (int rank = 0; rank < world.size(); ++rank)
        expect_equal(output.narrow(0, rank * numel, numel), values(rank, numel, type),
                     "all_gather");
      const auto place = output.narrow(0, world.rank() * numel, numel);
      place.add_(1);
      world.all_gather(place, output, "parts in place").wait();
      for (int rank = 0; rank < world.size(); ++rank)
        expect_equal(output.narrow(0, rank * numel, numel), values(rank, numel, type).add_(1),
                     "all_gather in place");
    }
}

void broadcast_in_a_buffer(Communicator& world) {
  const auto buffer = make_buffer(world);
  for (int root = 0; root < world.size(); ++root)
    for (const int64_t numel : kSizes) {
      const auto tensor = in_buffer(buffer, values(world.rank(), numel, at::kFloat));
      world.broadcast(tensor, root, "weights").wait();
      expect_equal(tensor, values(root, numel, at::kFloat), "broadcast");
    }
}

// Some ranks give a buffer, others do not, or another place of it: the same result.
void buffers_and_other_memory_meet(Communicator& world) {
  const auto buffer = make_buffer(world);
  const int64_t numel = 5000;
  const auto expected = reduced(world.size(), numel, at::kFloat, ReduceOp::kSum);
  const auto own = values(world.rank(), numel, at::kFloat);
  const auto mixed = world.rank() == 0 ? own.clone() : in_buffer(buffer, own);
  world.all_reduce(mixed, ReduceOp::kSum, "mixed memory").wait();
  expect_equal(mixed, expected, "all_reduce of mixed memory");
  const auto shifted = in_buffer(buffer.narrow(0, 64 * world.rank(), 40'000), own);
  world.all_reduce(shifted, ReduceOp::kSum, "shifted memory").wait();
  expect_equal(shifted, expected, "all_reduce of shifted memory");
}

// One operation after another on the same buffer, without waiting between.
void operations_on_a_buffer_keep_their_order(Communicator& world) {
  const int64_t numel = 100'000;
  const auto buffer = world.allocate(numel * world.size(), at::kFloat);
  buffer.fill_(1);
  std::vector<Work> works;
  for (int i = 0; i < 20; ++i) {
    works.push_back(world.all_reduce(buffer, ReduceOp::kSum, "sum"));
    const auto own = buffer.narrow(0, numel * world.rank(), numel);
    works.push_back(world.all_gather(own, buffer, "gather"));
    works.push_back(world.all_reduce(buffer, ReduceOp::kMax, "max"));
    works.push_back(world.reduce_scatter(buffer, own, ReduceOp::kMin, "min"));
  }
  for (auto& work : works) work.wait();
  const double expected = std::pow(world.size(), 20);
  expect_equal(buffer.narrow(0, numel * world.rank(), numel),
               at::full({numel}, expected, at::kFloat), "a chain of operations");
}

}  // namespace

std::vector<CommunicatorCase> with_buffer_cases(std::vector<CommunicatorCase> cases) {
  const std::vector<CommunicatorCase> more = {
      {"AllReduceInABuffer", all_reduce_in_a_buffer},
      {"ReduceScatterInABuffer", reduce_scatter_in_a_buffer},
      {"AllGatherInABuffer", all_gather_in_a_buffer},
      {"BroadcastInABuffer", broadcast_in_a_buffer},
      {"BuffersAndOtherMemoryMeet", buffers_and_other_memory_meet},
      {"OperationsOnABufferKeepTheirOrder", operations_on_a_buffer_keep_their_order},
  };
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

}  // namespace triga::testing
