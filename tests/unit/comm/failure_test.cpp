// How a run of several ranks ends when one of them does not do its part: at once, on all ranks, and
// in words.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/local_ranks.h"

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::run_ranks_catching;
using Seconds = std::chrono::duration<double>;

double seconds_of(const std::function<void()>& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return Seconds(std::chrono::steady_clock::now() - begin).count();
}

// The text of the CommError that a rank ended with; empty if it ended otherwise.
std::string comm_error(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const CommError& e) {
    return e.what();
  } catch (...) {
  }
  return "";
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

struct Disagreement {
  std::string name;
  std::function<void(Communicator&)> run;
  std::string of_rank_0, of_others;
};

std::vector<Disagreement> disagreements() {
  const auto numbers = [](int64_t numel) { return at::ones({numel}); };
  return {
      {"Operation",
       [=](Communicator& world) {
         if (world.rank() == 0)
           world.all_reduce(numbers(3), ReduceOp::kSum, "x").wait();
         else
           world.broadcast(numbers(3), 0, "x").wait();
       },
       "all_reduce sum of 3 fp32 \"x\"", "broadcast from rank 0 of 3 fp32 \"x\""},
      {"NumberOfElements",
       [=](Communicator& world) {
         world.all_reduce(numbers(world.rank() == 0 ? 1'000'000 : 3), ReduceOp::kSum, "x").wait();
       },
       "of 1000000 fp32", "of 3 fp32"},
      {"Type",
       [=](Communicator& world) {
         world
             .all_gather(numbers(4).to(world.rank() == 0 ? at::kFloat : at::kInt),
                         at::empty({4 * world.size()}, world.rank() == 0 ? at::kFloat : at::kInt),
                         "x")
             .wait();
       },
       "4 fp32", "4 int32"},
      {"Name",
       [=](Communicator& world) {
         world.all_reduce(numbers(4), ReduceOp::kSum, world.rank() == 0 ? "bucket 1" : "bucket 2")
             .wait();
       },
       "\"bucket 1\"", "\"bucket 2\""},
      {"Reduction",
       [=](Communicator& world) {
         world.all_reduce(numbers(4), world.rank() == 0 ? ReduceOp::kMin : ReduceOp::kMax, "x")
             .wait();
       },
       "all_reduce min", "all_reduce max"},
      {"Root",
       [=](Communicator& world) {
         world.broadcast(numbers(4), world.rank() == 0 ? 0 : 1, "x").wait();
       },
       "broadcast from rank 0", "broadcast from rank 1"},
      {"Order",
       [=](Communicator& world) {
         Work first = world.all_reduce(numbers(4), ReduceOp::kSum, world.rank() == 0 ? "a" : "b");
         Work second = world.all_reduce(numbers(4), ReduceOp::kSum, world.rank() == 0 ? "b" : "a");
         first.wait();
         second.wait();
       },
       "\"a\"", "\"b\""},
      {"HostChannel",
       [=](Communicator& world) {
         std::vector<double> values(3);
         if (world.rank() == 0)
           world.all_reduce_values(values, ReduceOp::kSum, "verdict");
         else
           world.barrier("end of step");
       },
       "all_reduce sum of 3 fp64 \"verdict\"", "barrier \"end of step\""},
      {"SizeOfAMessage",
       [=](Communicator& world) {
         if (world.rank() == 0)
           world.send(numbers(100'000), 1, "activations").wait();
         else if (world.rank() == 1)
           world.recv(numbers(5), 0, "activations").wait();
         world.barrier("after");
       },
       "send of 100000 fp32 \"activations\"", "recv of 5 fp32 \"activations\""},
      {"MessageAgainstCollective",
       [=](Communicator& world) {
         if (world.rank() == 0)
           world.send(numbers(100'000), 1, "activations").wait();
         else
           world.all_reduce(numbers(100'000), ReduceOp::kSum, "gradients").wait();
       },
       "send of 100000 fp32", "all_reduce sum of 100000 fp32"},
  };
}

class RanksDisagree : public ::testing::TestWithParam<std::tuple<int, Disagreement>> {};

TEST_P(RanksDisagree, EndsAllAtOnceNamingBothSides) {
  const Disagreement one = std::get<1>(GetParam());
  std::vector<std::exception_ptr> errors;
  const double seconds = seconds_of([&] {
    errors = run_ranks_catching(std::get<0>(GetParam()), [&](Communicator& world) {
      world.set_step(7);
      one.run(world);
    });
  });
  EXPECT_LT(seconds, 10) << "the deadline is 60 s";
  const auto host = make_single_communicator()->host(0);
  for (const auto& error : errors)
    EXPECT_THAT(first_line(comm_error(error)),
                AllOf(HasSubstr("disagree"), HasSubstr(one.of_rank_0), HasSubstr(one.of_others),
                      HasSubstr("step 7"), HasSubstr("rank 0 on host " + host),
                      HasSubstr("rank 1 on host " + host)));
}

INSTANTIATE_TEST_SUITE_P(About, RanksDisagree,
                         ::testing::Combine(::testing::Values(2, 4),
                                            ::testing::ValuesIn(disagreements())),
                         [](const auto& info) {
                           return c10::str(std::get<1>(info.param).name, "On",
                                           std::get<0>(info.param));
                         });

TEST(Deadline, NamesOperationStepAndWhoIsMissing) {
  for (const bool is_data : {true, false}) {
    const auto errors = run_ranks_catching(
        3,
        [&](Communicator& world) {
          world.set_step(17);
          if (world.rank() == 2) {
            world.progress().report(16, "reading data");
            std::this_thread::sleep_for(std::chrono::milliseconds(1500));
            return;
          }
          if (is_data)
            world.all_reduce(at::ones({50'000}), ReduceOp::kSum, "gradients of bucket 3").wait();
          else
            world.barrier("gradients of bucket 3");
        },
        {.deadline = std::chrono::milliseconds(300), .hosts = {}});
    for (int rank : {0, 1})
      EXPECT_THAT(
          first_line(comm_error(errors[rank])),
          AllOf(HasSubstr(is_data ? "all_reduce" : "barrier"),
                HasSubstr("\"gradients of bucket 3\""), HasSubstr("at step 17 within 0.3 s"),
                HasSubstr("missing: rank 2 on host"), HasSubstr("step 16, reading data")));
    EXPECT_FALSE(errors[2]);
  }
}

/// What was asked for ahead has no deadline while its rank computes.
TEST(Deadline, RunsWhileSomebodyWaits) {
  const auto errors = run_ranks_catching(
      2,
      [&](Communicator& world) {
        at::Tensor tensor = at::full({50'000}, world.rank());
        std::vector<Work> works;
        if (world.rank() == 0) works.push_back(world.recv(tensor, 1, "gradient"));
        std::this_thread::sleep_for(std::chrono::milliseconds(900));  // both compute
        if (world.rank() == 1) works.push_back(world.send(tensor, 0, "gradient"));
        for (Work& work : works) work.wait();
        EXPECT_EQ(tensor[7].item<float>(), 1);
      },
      {.deadline = std::chrono::milliseconds(300), .hosts = {}});
  for (const std::exception_ptr& error : errors) EXPECT_FALSE(error);
}

TEST(FailedRank, EndsTheOthersWithItsOwnCause) {
  std::vector<std::exception_ptr> errors;
  const double seconds = seconds_of([&] {
    errors = run_ranks_catching(4, [](Communicator& world) {
      world.progress().report(17, "forward");
      if (world.rank() == 2) throw DataError("shard-3.bin is truncated\nsecond line");
      world.all_reduce(at::ones({50'000}), ReduceOp::kSum, "gradients").wait();
    });
  });
  EXPECT_LT(seconds, 10);
  for (int rank : {0, 1, 3}) {
    const std::string text = comm_error(errors[rank]);
    EXPECT_THAT(first_line(text),
                AllOf(HasSubstr("rank 2 on host"), HasSubstr("failed at step 17, forward"),
                      HasSubstr("shard-3.bin is truncated")));
    for (int other = 0; other < 4; ++other)
      EXPECT_THAT(text, HasSubstr(c10::str("\n  rank ", other, " on host")));
    EXPECT_THAT(text, HasSubstr("all_reduce \"gradients\""));
  }
}

TEST(FailedRank, OfTwoTheEarlierIsTheCause) {
  const auto errors = run_ranks_catching(3, [](Communicator& world) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200 * world.rank()));
    if (world.rank() == 0) throw DataError("the first");
    if (world.rank() == 1) throw DataError("the second");
    world.barrier("nobody comes");
  });
  EXPECT_THAT(first_line(comm_error(errors[2])), HasSubstr("rank 0 on host"));
  EXPECT_THAT(first_line(comm_error(errors[2])), HasSubstr("the first"));
}

TEST(FinishedRank, IsNotWaitedForUntilTheDeadline) {
  std::vector<std::exception_ptr> errors;
  const double seconds = seconds_of([&] {
    errors = run_ranks_catching(2, [](Communicator& world) {
      world.set_step(3);
      if (world.rank() == 0) world.barrier("one more");
    });
  });
  EXPECT_LT(seconds, 10);
  EXPECT_THAT(first_line(comm_error(errors[0])),
              AllOf(HasSubstr("rank 1 on host"), HasSubstr("has left the run at step 3")));
}

TEST(FailedCommunicator, FailsAtOnceAndIsDestroyedWithoutWaiting) {
  const auto errors = run_ranks_catching(2, [](Communicator& world) {
    if (world.rank() == 1) throw DataError("gone");
    Work first = world.all_reduce(at::ones({50'000}), ReduceOp::kSum, "first");
    Work second = world.all_reduce(at::ones({50'000}), ReduceOp::kSum, "second");
    EXPECT_THROW(first.wait(), CommError);
    const double seconds = seconds_of([&] {
      EXPECT_THROW(first.wait(), CommError);
      EXPECT_THROW(second.wait(), CommError);
      EXPECT_THROW(world.all_reduce(at::ones({3}), ReduceOp::kSum, "third").wait(), CommError);
      EXPECT_THROW(world.barrier("fourth"), CommError);
    });
    EXPECT_LT(seconds, 2);
  });
  EXPECT_FALSE(errors[0]);
}

TEST(Destruction, GivesUpWhatIsUnderWay) {
  auto worlds = make_local_communicators(2, {.deadline = std::chrono::seconds(60), .hosts = {}});
  const Work large = worlds[0]->all_reduce(at::ones({50'000}), ReduceOp::kSum, "nobody answers");
  const Work queued = worlds[0]->all_reduce(at::ones({3}), ReduceOp::kSum, "behind it");
  EXPECT_LT(seconds_of([&] { worlds[0].reset(); }), 1);
  EXPECT_THROW(Work(large).wait(), CommError);
  EXPECT_THROW(Work(queued).wait(), CommError);
}

TEST(Group, IsNotWaitedForBeforeItsEnd) {
  auto worlds = make_local_communicators(2);
  worlds[0]->begin_group();
  Work sent = worlds[0]->send(at::ones({3}), 1, "x");
  EXPECT_THROW(sent.wait(), Error);
  EXPECT_FALSE(sent.is_done());
}

}  // namespace
}  // namespace triga
