#include "tests/support/communicator_suite.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "tests/support/communicator_values.h"

namespace triga::testing {
namespace {

void all_reduce(Communicator& world) {
  for (const auto type : kTypes)
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin})
      for (const int64_t numel : kSizes) {
        const auto tensor = values(world.rank(), numel, type);
        world.all_reduce(tensor, op, "numbers").wait();
        expect_equal(tensor, reduced(world.size(), numel, type, op), "all_reduce");
      }
}

void all_reduce_in_many_rounds(Communicator& world) {
  for (const auto type : {at::kFloat, at::kByte}) {
    const int64_t numel = kManyRounds * world.size();
    const auto tensor = values(world.rank(), numel, type);
    world.all_reduce(tensor, ReduceOp::kSum, "many numbers").wait();
    expect_equal(tensor, reduced(world.size(), numel, type, ReduceOp::kSum), "all_reduce");
  }
}

void reduce_scatter(Communicator& world) {
  for (const auto type : kTypes)
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMax})
      for (const int64_t numel : kSizes) {
        const auto input = values(world.rank(), numel * world.size(), type);
        const auto before = input.clone();
        const auto output = at::empty({numel}, type);
        world.reduce_scatter(input, output, op, "parts").wait();
        expect_equal(output, reduced(world.size(), numel, type, op, world.rank() * numel),
                     "reduce_scatter");
        expect_equal(input, before, "input of reduce_scatter");
      }
}

void reduce_scatter_in_place(Communicator& world) {
  for (const int64_t numel : {int64_t{5}, int64_t{1021}, kManyRounds}) {
    const auto input = values(world.rank(), numel * world.size(), at::kFloat);
    const auto output = input.narrow(0, world.rank() * numel, numel);
    world.reduce_scatter(input, output, ReduceOp::kSum, "parts").wait();
    expect_equal(output,
                 reduced(world.size(), numel, at::kFloat, ReduceOp::kSum, world.rank() * numel),
                 "reduce_scatter");
  }
}

void all_gather(Communicator& world) {
  for (const auto type : kTypes)
    for (const int64_t numel : kSizes) {
      const auto output = at::empty({numel * world.size()}, type);
      world.all_gather(values(world.rank(), numel, type), output, "parts").wait();
      for (int rank = 0; rank < world.size(); ++rank)
        expect_equal(output.narrow(0, rank * numel, numel), values(rank, numel, type),
                     "all_gather");
      const auto in_place = at::zeros({numel * world.size()}, type);
      const auto own = in_place.narrow(0, world.rank() * numel, numel);
      own.copy_(values(world.rank(), numel, type));
      world.all_gather(own, in_place, "parts in place").wait();
      expect_equal(in_place, output, "all_gather in place");
    }
}

void broadcast(Communicator& world) {
  for (int root = 0; root < world.size(); ++root)
    for (const auto type : kTypes)
      for (const int64_t numel : {int64_t{0}, int64_t{1}, int64_t{1021}, int64_t{65537}}) {
        const auto tensor = values(world.rank(), numel, type);
        world.broadcast(tensor, root, "weights").wait();
        expect_equal(tensor, values(root, numel, type), "broadcast");
      }
}

void sums_are_exact_in_tree_order(Communicator& world) {
  const auto buffer = make_buffer(world);
  for (const int64_t numel : {int64_t{700}, int64_t{65537}}) {
    const auto expected = sum_in_tree_order(0, world.size(), numel);
    const auto tensor = awkward_values(world.rank(), numel);
    world.all_reduce(tensor, ReduceOp::kSum, "awkward numbers").wait();
    expect_equal(tensor, expected, "all_reduce");
    const auto shared = in_buffer(buffer, awkward_values(world.rank(), numel));
    world.all_reduce(shared, ReduceOp::kSum, "awkward numbers in a buffer").wait();
    expect_equal(shared, expected, "all_reduce in a buffer");
  }
}

void sums_do_not_depend_on_buckets(Communicator& world) {
  const int64_t numel = 400'000;
  const auto whole = awkward_values(world.rank(), numel);
  const auto pieces = whole.clone();
  const auto scattered = whole.clone();
  world.all_reduce(whole, ReduceOp::kSum, "whole").wait();
  std::mt19937 random(5);
  std::vector<Work> works;
  for (int64_t begin = 0; begin < numel;) {
    const int64_t length =
        std::min<int64_t>(1 + random() % (random() % 2 ? 1000 : 90'000), numel - begin);
    works.push_back(world.all_reduce(pieces.narrow(0, begin, length), ReduceOp::kSum, "piece"));
    begin += length;
  }
  for (auto& work : works) work.wait();
  expect_equal(pieces, whole, "all_reduce in pieces");
  const int64_t part = numel / world.size();
  const auto own = at::empty({part});
  world
      .reduce_scatter(scattered.narrow(0, 0, part * world.size()), own, ReduceOp::kSum, "scattered")
      .wait();
  expect_equal(own, whole.narrow(0, world.rank() * part, part),
               "reduce_scatter against all_reduce");
}

// 256 + 1 + ... + 1: each addition rounded to bf16 or fp16 would lose some of the ones (at 2048 in
// fp16).
void half_sums_are_accumulated_in_fp32(Communicator& world) {
  for (const auto& [type, large] : {std::pair{at::kBFloat16, 256.F}, std::pair{at::kHalf, 2048.F}})
    for (const int64_t numel : {3, 5000}) {
      const auto tensor = at::full({numel}, world.rank() == 0 ? large : 1.F, type);
      world.all_reduce(tensor, ReduceOp::kSum, "one large, others small").wait();
      const float exact = large + static_cast<float>(world.size() - 1);
      expect_equal(tensor, at::full({numel}, exact).to(type), "all_reduce");
    }
}

void a_nan_wins(Communicator& world) {
  const auto last =
      at::tensor(std::vector<float>{1, world.rank() == world.size() - 1 ? std::nanf("") : 2});
  for (const auto op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
    const auto tensor = last.clone();
    world.all_reduce(tensor, op, "with a NaN").wait();
    EXPECT_FALSE(std::isnan(tensor[0].item<float>()));
    EXPECT_TRUE(std::isnan(tensor[1].item<float>()));
  }
}

// Every rank sends to the next and receives from the one before.
void ring(Communicator& world) {
  if (world.size() == 1) return;
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  for (const auto type : kTypes)
    for (const int64_t numel : kSizes) {
      const auto received = at::empty({numel}, type);
      world.begin_group();
      world.send(values(world.rank(), numel, type), next, "ring");
      const Work arrived = world.recv(received, previous, "ring");
      world.end_group().wait();
      EXPECT_TRUE(arrived.is_done());
      expect_equal(received, values(previous, numel, type), "recv");
    }
}

// The receiver learns from a header how much follows; nothing may follow.
void announced_messages_fit_their_headers(Communicator& world) {
  if (world.size() == 1 || world.rank() > 1) return;
  const int peer = 1 - world.rank();
  for (const int64_t numel : {7, 0, 200'000, 1}) {
    at::Tensor header = at::full({2}, numel, at::kLong);
    if (world.rank() == 0) {
      world.send(header, peer, "announced");
      if (numel > 0) world.send(values(0, numel, at::kFloat, numel), peer, "announced").wait();
      continue;
    }
    header.zero_();
    at::Tensor received;
    const auto make = [&] {
      const int64_t announced = header[1].item<int64_t>();
      if (announced > 0) received = at::empty({announced}, at::kFloat);
      return received;
    };
    Work work = world.recv_announced(header, make, peer, "announced");
    if (numel == 1)
      while (!work.is_done()) std::this_thread::yield();
    work.wait();
    EXPECT_EQ(received.defined(), numel > 0);
    if (numel > 0) expect_equal(received, values(0, numel, at::kFloat, numel), "recv_announced");
  }
}

// A group on one side, single operations on the other; large and small messages keep their order.
void groups_meet_single_operations(Communicator& world) {
  if (world.size() == 1 || world.rank() > 1) return;
  const int peer = 1 - world.rank();
  const std::vector<int64_t> sizes = {2, 100'000, 3, 0, 50'000, 1};
  std::vector<at::Tensor> received;
  for (const int64_t numel : sizes) received.push_back(at::empty({numel}, at::kLong));
  if (world.rank() == 0) {
    world.begin_group();
    world.recv(received[0], peer, "back");
    for (const int64_t numel : sizes) world.send(values(0, numel, at::kLong, numel), peer, "there");
    world.end_group().wait();
    expect_equal(received[0], values(1, 2, at::kLong), "recv");
  } else {
    for (const auto& tensor : received) {
      world.recv(tensor, peer, "there").wait();
      expect_equal(tensor, values(0, tensor.numel(), at::kLong, tensor.numel()), "recv");
    }
    world.send(values(1, 2, at::kLong), peer, "back").wait();
  }
}

// All ranks exchange with all others at once, in different orders.
void everybody_with_everybody(Communicator& world) {
  const int64_t numel = 20'000;
  std::vector<at::Tensor> received(world.size());
  world.begin_group();
  for (int peer = world.size() - 1; peer >= 0; --peer) {
    if (peer == world.rank()) continue;
    received[peer] = at::empty({numel});
    if ((peer + world.rank()) % 2 == 0) world.recv(received[peer], peer, "exchange");
    world.send(values(world.rank(), numel, at::kFloat, peer), peer, "exchange");
    if ((peer + world.rank()) % 2 != 0) world.recv(received[peer], peer, "exchange");
  }
  world.end_group().wait();
  for (int peer = 0; peer < world.size(); ++peer)
    if (peer != world.rank())
      expect_equal(received[peer], values(peer, numel, at::kFloat, world.rank()), "recv");
}

void host_channel(Communicator& world) {
  for (int round = 0; round < 50; ++round) {
    std::vector<double> sums = {1.5 * world.rank(), -2};
    world.all_reduce_values(sums, ReduceOp::kSum, "sums");
    EXPECT_EQ(sums[0], 1.5 * world.size() * (world.size() - 1) / 2);
    EXPECT_EQ(sums[1], -2.0 * world.size());
    std::vector<double> largest = {static_cast<double>(world.rank())};
    world.all_reduce_values(largest, ReduceOp::kMax, "largest");
    EXPECT_EQ(largest[0], world.size() - 1);
  }
  std::vector<double> many(5000, 1.0);
  world.all_reduce_values(many, ReduceOp::kSum, "many");
  EXPECT_EQ(std::accumulate(many.begin(), many.end(), 0.0), 5000.0 * world.size());
}

std::string text_of(int rank) {
  return std::string(rank * 40'000, static_cast<char>('a' + rank)) + '\0' + "end";
}

void texts(Communicator& world) {
  const auto gathered = world.all_gather_text(text_of(world.rank()), "texts");
  ASSERT_EQ(gathered.size(), static_cast<size_t>(world.size()));
  for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(gathered[rank], text_of(rank));
  for (const auto& text : world.all_gather_text("", "empty texts")) EXPECT_EQ(text, "");
  for (int root = 0; root < world.size(); ++root) {
    EXPECT_EQ(world.broadcast_text(text_of(world.rank()), root, "text"), text_of(root));
    EXPECT_EQ(world.broadcast_text(world.rank() == root ? "yes" : "unused", root, "word"), "yes");
  }
}

// No rank leaves the barrier before the last one has come.
void barrier(Communicator& world) {
  using Clock = std::chrono::steady_clock;
  for (int last = 0; last < world.size(); ++last) {
    if (world.rank() == last) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    const auto came = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    world.barrier("together");
    const auto left = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    std::vector<double> latest = {came};
    world.all_reduce_values(latest, ReduceOp::kMax, "latest to come");
    EXPECT_GE(left, latest[0]);
  }
}

// The host channel goes on while data operations are under way, and does not wait for them.
void host_channel_overtakes_data(Communicator& world) {
  if (world.size() == 1) return;
  const auto tensor = at::ones({1000});
  Work waiting;
  if (world.rank() != 0) waiting = world.all_reduce(tensor, ReduceOp::kSum, "data");
  world.barrier("control");
  if (world.rank() != 0) EXPECT_FALSE(waiting.is_done());
  world.barrier("looked");
  if (world.rank() == 0) waiting = world.all_reduce(tensor, ReduceOp::kSum, "data");
  waiting.wait();
  expect_equal(tensor, at::full({1000}, world.size()).to(at::kFloat), "all_reduce");
}

// An operation is done although nobody waits for it: a communication thread works while the caller
// computes.
void operations_go_on_while_computing(Communicator& world) {
  const auto tensor = at::ones({4'000'000});
  const Work work = world.all_reduce(tensor, ReduceOp::kSum, "large");
  const auto begin = std::chrono::steady_clock::now();
  double sum = 0;
  while (!work.is_done() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(30))
    sum += at::ones({1000}).sum().item<double>();
  EXPECT_TRUE(work.is_done());
  EXPECT_TRUE(world.size() == 1 || sum > 0);
  expect_equal(tensor, at::full({4'000'000}, world.size()).to(at::kFloat), "all_reduce");
}

void split(Communicator& world) {
  const int color = world.rank() % 2;
  const auto group = world.split(color, "parity");
  const int expected_size = (world.size() + 1 - color) / 2;
  EXPECT_EQ(group->size(), expected_size);
  EXPECT_EQ(group->rank(), world.rank() / 2);
  EXPECT_EQ(group->name(), "parity");
  EXPECT_EQ(group->host(0), world.host(color));
  const auto tensor = at::full({2000}, world.rank()).to(at::kFloat);
  const auto of_world = tensor.clone();
  Work in_group = group->all_reduce(tensor, ReduceOp::kSum, "in the group");
  Work in_world = world.all_reduce(of_world, ReduceOp::kSum, "in the world");
  in_group.wait();
  in_world.wait();
  expect_equal(
      tensor,
      at::full({2000}, expected_size * color + expected_size * (expected_size - 1)).to(at::kFloat),
      "group");
  expect_equal(of_world, at::full({2000}, world.size() * (world.size() - 1) / 2).to(at::kFloat),
               "world");
  const auto alone = group->split(group->rank(), "alone");
  EXPECT_EQ(alone->size(), 1);
  alone->barrier("alone");
  const auto again = world.split(0, "again");
  EXPECT_EQ(again->size(), world.size());
  EXPECT_EQ(again->broadcast_text(c10::str(world.rank()), world.size() - 1, "last"),
            c10::str(world.size() - 1));
}

void allocate(Communicator& world) {
  const auto tensor = world.allocate(1021, at::kBFloat16);
  expect_equal(tensor, at::zeros({1021}, at::kBFloat16), "allocate");
  tensor.fill_(1);
  world.all_reduce(tensor, ReduceOp::kSum, "own buffer").wait();
  expect_equal(tensor, at::full({1021}, world.size()).to(at::kBFloat16), "all_reduce");
}

void refuses_what_it_cannot_carry(Communicator& world) {
  EXPECT_THROW(world.all_reduce(at::ones({4, 4}).t().narrow(0, 0, 2), ReduceOp::kSum, "strided"),
               Error);
  EXPECT_THROW(world.all_reduce(at::ones({2}, at::kBool), ReduceOp::kSum, "flags"), Error);
  EXPECT_THROW(world.all_gather(at::ones({2}), at::ones({2 * world.size() + 1}), "uneven"), Error);
  EXPECT_THROW(world.broadcast(at::ones({2}), world.size(), "unknown root"), Error);
  EXPECT_THROW(world.send(at::ones({2}), world.rank(), "to itself"), Error);
  EXPECT_THROW(world.end_group(), Error);
  world.barrier("nobody was disturbed");
}

}  // namespace

const std::vector<CommunicatorCase>& communicator_cases() {
  static const std::vector<CommunicatorCase> cases = with_buffer_cases({
      {"AllReduce", all_reduce},
      {"AllReduceInManyRounds", all_reduce_in_many_rounds},
      {"ReduceScatter", reduce_scatter},
      {"ReduceScatterInPlace", reduce_scatter_in_place},
      {"AllGather", all_gather},
      {"Broadcast", broadcast},
      {"SumsAreExactInTreeOrder", sums_are_exact_in_tree_order},
      {"SumsDoNotDependOnBuckets", sums_do_not_depend_on_buckets},
      {"HalfSumsAreAccumulatedInFp32", half_sums_are_accumulated_in_fp32},
      {"ANanWins", a_nan_wins},
      {"Ring", ring},
      {"AnnouncedMessagesFitTheirHeaders", announced_messages_fit_their_headers},
      {"GroupsMeetSingleOperations", groups_meet_single_operations},
      {"EverybodyWithEverybody", everybody_with_everybody},
      {"HostChannel", host_channel},
      {"Texts", texts},
      {"Barrier", barrier},
      {"HostChannelOvertakesData", host_channel_overtakes_data},
      {"OperationsGoOnWhileComputing", operations_go_on_while_computing},
      {"Split", split},
      {"Allocate", allocate},
      {"RefusesWhatItCannotCarry", refuses_what_it_cannot_carry},
  });
  return cases;
}

}  // namespace triga::testing
