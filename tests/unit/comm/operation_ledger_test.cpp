// What ranks have begun, as the others of their host see it.
#include "comm/operation_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/local_ranks.h"
#include "tests/unit/comm/operation_differences.h"

namespace triga {
namespace {

using testing::all_reduce;
using ::testing::AllOf;
using testing::Difference;
using testing::differences;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::operation;
using testing::run_ranks;

std::string difference_in(OperationLedger& ledger) {
  return ledger.find_difference().value_or("");
}

class DifferenceInLedgers : public ::testing::TestWithParam<std::tuple<int, Difference>> {};

TEST_P(DifferenceInLedgers, IsFoundByEachSideNamingBoth) {
  const auto& [num_equal, one] = GetParam();
  run_ranks(2, [num_before = num_equal, different = one](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    for (int i = 0; i < num_before; ++i) ledger->begin(all_reduce(i));
    EXPECT_EQ(difference_in(*ledger), "");
    Operation own = different.of_rank_0;
    if (world.rank() == 1) different.change(own);
    EXPECT_EQ(ledger->begin(own), static_cast<uint64_t>(num_before + 1));
    world.barrier("begun");
    const std::string words =
        c10::str("ranks of group world disagree on what to do next: rank 0 on host ", world.host(0),
                 ": ", different.words_of_rank_0, "; rank 1 on host ", world.host(1), ": ",
                 different.words_of_rank_1);
    EXPECT_EQ(difference_in(*ledger), words);
    ledger->begin(all_reduce(1));
    EXPECT_EQ(difference_in(*ledger), words) << "it is not forgotten";
  });
}

INSTANTIATE_TEST_SUITE_P(About, DifferenceInLedgers,
                         ::testing::Combine(::testing::Values(0, 3, 5000),
                                            ::testing::ValuesIn(differences())),
                         [](const auto& info) {
                           return c10::str(std::get<1>(info.param).name, "After",
                                           std::get<0>(info.param));
                         });

TEST(OperationLedger, NamesEachOpinionOnceByItsFirstRank) {
  run_ranks(4, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    ledger->begin(all_reduce(world.rank() < 2 ? 5 : 6));
    world.barrier("begun");
    EXPECT_THAT(
        difference_in(*ledger),
        AllOf(HasSubstr("rank 0 on host"), HasSubstr("of 5 fp32"), HasSubstr("; rank 2 on host"),
              HasSubstr("of 6 fp32"), Not(HasSubstr("rank 1 on")), Not(HasSubstr("rank 3 on"))));
  });
}

TEST(OperationLedger, NamesRanksOfAGroupByTheirNumberInTheWorld) {
  run_ranks(4, [](Communicator& world) {
    const auto data = world.split(world.rank() % 2, "data");
    const auto ledger = OperationLedger::open(*data);
    ASSERT_TRUE(ledger);
    ledger->begin(all_reduce(world.rank()));
    world.barrier("begun");
    const int first = world.rank() % 2;
    EXPECT_THAT(difference_in(*ledger),
                AllOf(HasSubstr("ranks of group data disagree on what to do next: "),
                      HasSubstr(c10::str("rank ", first, " on host")),
                      HasSubstr(c10::str("rank ", first + 2, " on host"))));
  });
}

TEST(OperationLedger, ComparesWithARankThatIsAheadWhatBothHaveBegun) {
  run_ranks(3, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    for (int i = 0; i < 10 + 400 * world.rank(); ++i) ledger->begin(all_reduce(i));
    world.barrier("begun");
    EXPECT_EQ(difference_in(*ledger), "");
    world.barrier("looked");
    if (world.rank() == 0) ledger->begin(all_reduce(99));  // others did that of 10
    world.barrier("one more");
    EXPECT_THAT(difference_in(*ledger), world.rank() == 0
                                            ? AllOf(HasSubstr("of 99 fp32"), HasSubstr("; rank 1"))
                                            : AllOf(HasSubstr("of 10 fp32"), HasSubstr("rank 0")));
  });
}

TEST(OperationLedger, FindsNothingInWhatWasWrittenOver) {
  run_ranks(2, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    // The only difference is so far behind rank 0 that it keeps it no more.
    if (world.rank() == 0)
      for (int i = 0; i < 3000; ++i) ledger->begin(all_reduce(i));
    else
      ledger->begin(all_reduce(17));
    world.barrier("begun");
    EXPECT_EQ(difference_in(*ledger), "");
  });
}

TEST(OperationLedger, FindsNothingInWhatIsBeingWritten) {
  run_ranks(2, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    std::atomic<bool> is_done{false};
    std::thread watch([&] {
      while (!is_done) EXPECT_EQ(difference_in(*ledger), "");
    });
    for (int i = 0; i < 20'000; ++i) {
      ledger->begin(all_reduce(i));
      ledger->begin_message(
          operation(world.rank() == 0 ? OperationKind::kSend : OperationKind::kReceive, i, "x"),
          1 - world.rank());
    }
    is_done = true;
    watch.join();
    world.barrier("begun");
    EXPECT_EQ(difference_in(*ledger), "");
  });
}

TEST(OperationLedger, ComparesRanksOfOneHostOnly) {
  const auto begin = [](Communicator& world, int64_t numel) {
    auto ledger = OperationLedger::open(world);
    if (ledger) ledger->begin(all_reduce(numel));
    world.barrier("begun");
    return ledger;
  };
  const std::vector<std::string> hosts = {"a", "a", "b", "b"};
  run_ranks(
      4,
      [&](Communicator& world) {
        const auto ledger = begin(world, world.rank() < 2 ? 5 : 6);
        ASSERT_TRUE(ledger);
        EXPECT_EQ(difference_in(*ledger), "");
        EXPECT_EQ(ledger->to_tell().size(), world.rank() % 2 == 0 ? 1U : 0U) << "one of each host";
      },
      hosts);
  run_ranks(
      4,
      [&](Communicator& world) {
        const auto ledger = begin(world, world.rank() < 3 ? 5 : 6);
        ASSERT_TRUE(ledger);
        if (world.rank() < 2)
          EXPECT_EQ(difference_in(*ledger), "");
        else
          EXPECT_THAT(difference_in(*ledger),
                      AllOf(HasSubstr("rank 2 on host b: all_reduce sum of 5"),
                            HasSubstr("rank 3 on host b: all_reduce sum of 6")));
      },
      hosts);
}

// Of messages between two ranks, the k-th that one sends belongs to the k-th that the other receives.
TEST(OperationLedger, ComparesWhatIsSentWithWhatIsReceived) {
  run_ranks(3, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    const auto send = [&](int64_t numel, int to) {
      return ledger->begin_message(operation(OperationKind::kSend, numel, "activations"), to);
    };
    const auto receive = [&](int64_t numel, int from) {
      return ledger->begin_message(operation(OperationKind::kReceive, numel, "inputs"), from);
    };
    for (int i = 1; i < 300; ++i) {  // sizes differ by peer, direction and number
      const int next = (world.rank() + 1) % 3, last = (world.rank() + 2) % 3;
      EXPECT_EQ(send(1000 * i + 10 * world.rank(), next).number, static_cast<uint64_t>(i));
      EXPECT_EQ(receive(1000 * i + 10 * last, last).number, static_cast<uint64_t>(i));
    }
    world.barrier("begun");
    EXPECT_EQ(difference_in(*ledger), "");
    if (world.rank() == 0) send(100'000, 1);
    if (world.rank() == 1) receive(5, 0);
    world.barrier("one more");
    if (world.rank() == 2)
      EXPECT_EQ(difference_in(*ledger), "");
    else
      EXPECT_THAT(difference_in(*ledger),
                  AllOf(HasSubstr("disagree on what to do next: "),
                        HasSubstr("rank 0 on host " + world.host(0) +
                                  ": send of 100000 fp32 \"activations\" (step 7)"),
                        HasSubstr("rank 1 on host " + world.host(1) +
                                  ": recv of 5 fp32 \"inputs\" (step 7)")));
  });
}

TEST(OperationLedger, NamesWhoHasNotBegun) {
  run_ranks(3, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    ledger->begin(all_reduce(5));
    if (world.rank() == 0) ledger->begin(all_reduce(5));
    world.barrier("begun");
    const auto name = [&](int rank) {
      return c10::str("rank ", rank, " on host ", world.host(rank));
    };
    EXPECT_TRUE(ledger->to_tell().empty() && ledger->to_compare_with().empty());
    EXPECT_EQ(ledger->missing(1), "all ranks have begun it, so it hangs");
    EXPECT_EQ(ledger->missing(2), name(1) + ", " + name(2) + " have not begun it");
    world.barrier("looked");
    if (world.rank() == 1) ledger->begin(all_reduce(5));
    world.barrier("one more");
    EXPECT_EQ(ledger->missing(2), name(2) + " has not begun it");
  });
}

TEST(OperationLedger, NamesWhoHasNotBegunAMessage) {
  run_ranks(3, [](Communicator& world) {
    const auto ledger = OperationLedger::open(world);
    ASSERT_TRUE(ledger);
    std::vector<OperationLedger::BegunMessage> begun;
    if (world.rank() == 0) {
      begun.push_back(ledger->begin_message(operation(OperationKind::kSend, 5, "x"), 1));
      begun.push_back(ledger->begin_message(operation(OperationKind::kReceive, 5, "x"), 2));
    } else {  // where rank 2 is to send
      begun.push_back(ledger->begin_message(operation(OperationKind::kReceive, 5, "x"), 0));
    }
    world.barrier("begun");
    if (world.rank() == 1)
      EXPECT_EQ(ledger->missing(begun), "all ranks have begun it, so it hangs");
    else
      EXPECT_EQ(ledger->missing(begun), c10::str("rank ", 2 - world.rank(), " on host ",
                                                 world.host(0), " has not begun it"));
  });
}

TEST(OperationLedger, SaysOfOtherHostsThatTheyAreNotSeen) {
  run_ranks(3,
            [](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              ledger->begin(all_reduce(5));
              world.barrier("begun");
              if (world.rank() == 2) return;
              EXPECT_EQ(
                  ledger->missing(1),
                  "all that are seen from host a have begun it: ranks on host b may be missing, or "
                  "it hangs");
              const auto sent = ledger->begin_message(operation(OperationKind::kSend, 5, "x"), 2);
              EXPECT_EQ(sent.number, 1U);
              EXPECT_THAT(ledger->missing({sent}), HasSubstr("ranks on host b may be missing"));
            },
            {"a", "a", "b"});
}

TEST(OperationLedger, IsKnownToTheProgressOfItsRankWhileItLives) {
  run_ranks(1, [](Communicator& world) {
    std::shared_ptr<OperationLedger> ledger = OperationLedger::open(world);
    const std::shared_ptr<OperationLedger> other = OperationLedger::open(world);
    world.progress().add_ledger(ledger);
    world.progress().add_ledger(other);
    EXPECT_THAT(world.progress().ledgers(), ElementsAre(ledger, other));
    ledger.reset();
    EXPECT_THAT(world.progress().ledgers(), ElementsAre(other));
  });
}

TEST(OperationLedger, IsNotThereWhereMemoryCannotBeShared) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  run_ranks(2, [&](Communicator& world) {
    rlimit none = before;
    none.rlim_cur = 0;  // no more files
    if (world.rank() == 0) ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    world.barrier("no more files");
    EXPECT_FALSE(OperationLedger::open(world));
    world.barrier("tried");
    if (world.rank() == 0) ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  });
}

}  // namespace
}  // namespace triga
