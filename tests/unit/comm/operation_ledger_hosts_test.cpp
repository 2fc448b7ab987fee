// What ranks have begun, as those of other hosts are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "comm/operation_ledger.h"
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
using ::testing::IsEmpty;
using testing::operation;
using testing::run_ranks;

const std::vector<std::string> kTwoHosts = {"a", "a", "b", "b"};

/// What each rank tells, by rank.
class Told {
 public:
  /// Collective: what each rank tells now, and what this one makes of what it is told.
  std::string difference(Communicator& world, const OperationLedger& ledger) {
    {
      const std::lock_guard lock(mutex_);
      told_[world.rank()] = ledger.to_tell();
    }
    world.barrier("told");
    std::string difference;
    for (const int rank : ledger.to_compare_with())
      for (const BegunOperation& one : told_.at(rank))
        if (const auto found = ledger.compare(rank, one)) difference = *found;
    world.barrier("compared");
    return difference;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::vector<BegunOperation>> told_;
};

class DifferenceBetweenHosts : public ::testing::TestWithParam<std::tuple<int, Difference>> {};

TEST_P(DifferenceBetweenHosts, IsFoundByTheFirstRankOfEachNamingBoth) {
  const auto& [num_equal, one] = GetParam();
  Told told;
  run_ranks(
      4,
      [&told, num_before = num_equal, different = one](Communicator& world) {
        const auto ledger = OperationLedger::open(world);
        ASSERT_TRUE(ledger);
        for (int i = 0; i < num_before; ++i) ledger->end(ledger->begin(all_reduce(i)));
        EXPECT_EQ(told.difference(world, *ledger), "");
        Operation own = different.of_rank_0;
        if (world.rank() >= 2) different.change(own);
        ledger->begin(own);
        ledger->begin(all_reduce(1));  // what was begun after it hides nothing: it has not ended
        const std::string of_a = "rank 0 on host a: " + different.words_of_rank_0;
        const std::string of_b = "rank 2 on host b: " + different.words_of_rank_1;
        const std::string found = told.difference(world, *ledger);
        if (world.rank() % 2 == 1)
          EXPECT_EQ(found, "") << "it need not look";
        else
          EXPECT_EQ(found, "ranks of group world disagree on what to do next: " +
                               (world.rank() == 0 ? of_a + "; " + of_b : of_b + "; " + of_a));
      },
      kTwoHosts);
}

INSTANTIATE_TEST_SUITE_P(About, DifferenceBetweenHosts,
                         ::testing::Combine(::testing::Values(0, 3, 5000),
                                            ::testing::ValuesIn(differences())),
                         [](const auto& info) {
                           return c10::str(std::get<1>(info.param).name, "After",
                                           std::get<0>(info.param));
                         });

TEST(LedgerBetweenHosts, DigestsDifferWhereOperationsDo) {
  std::vector<Opening> openings;
  for (const Difference& one : differences()) {
    Operation changed = one.of_rank_0;
    one.change(changed);
    for (const Operation& operation : {one.of_rank_0, changed}) {
      Opening opening{};
      OpeningView({reinterpret_cast<std::byte*>(&opening), sizeof(opening), nullptr})
          .write(operation, {});
      openings.push_back(opening);
      opening.step += 1;  // is not compared
      openings.push_back(opening);
    }
  }
  for (const Opening& a : openings)
    for (const Opening& b : openings)
      EXPECT_EQ(digest_of(a) == digest_of(b), is_same(a, b)) << to_text(a) << ", " << to_text(b);
}

TEST(LedgerBetweenHosts, TellsAnotherHostOfWhatHasEndedToo) {
  Told told;
  run_ranks(2,
            [&](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              EXPECT_THAT(ledger->to_tell(), IsEmpty());
              const int rank = world.rank();
              const auto name = [](int of) {
                return of == 0 ? "rank 0 on host a" : "rank 1 on host b";
              };
              for (const int64_t numel : {int64_t{3}, int64_t{rank}, int64_t{5}})
                ledger->end(ledger->begin(all_reduce(numel)));
              const std::string words =
                  c10::str("ranks of group world disagree on what they have done: ", name(rank),
                           " and ", name(1 - rank), " did not do the same before ");
              EXPECT_EQ(told.difference(world, *ledger),
                        words + "all_reduce sum of 5 fp32 \"bucket 3\" (step 7)");
              const auto kind = rank == 0 ? OperationKind::kSend : OperationKind::kReceive;
              for (const int64_t numel : {int64_t{3 + rank}, int64_t{5}})
                ledger->end({ledger->begin_message(operation(kind, numel, "x"), 1 - rank)});
              EXPECT_EQ(told.difference(world, *ledger),
                        c10::str(words, rank == 0 ? "send" : "recv", " of 5 fp32 \"x\" (step 7)"));
            },
            {"a", "b"});
}

TEST(LedgerBetweenHosts, FindsNothingBetweenHostsThatAreNotEquallyFar) {
  Told told;
  run_ranks(
      2,
      [&](Communicator& world) {
        const auto ledger = OperationLedger::open(world);
        ASSERT_TRUE(ledger);
        const auto begin = [&](int from, int to) {
          for (int i = from; i < to; ++i) ledger->begin(all_reduce(i));
        };
        begin(0, world.rank() == 0 ? 400 : 10);
        ledger->end(world.rank() == 0 ? 300 : 5);
        EXPECT_EQ(told.difference(world, *ledger), "") << "one has not begun what the other is at";
        if (world.rank() == 0) begin(400, 3000);
        EXPECT_EQ(told.difference(world, *ledger), "") << "one keeps no more what the other is at";
        if (world.rank() == 0) ledger->end(2999);
        if (world.rank() == 1) begin(10, 3000);
        EXPECT_EQ(told.difference(world, *ledger), "");
      },
      {"a", "b"});
}

// As of a pipeline: all microbatches are begun at once, while the other side hangs at an early one.
TEST(LedgerBetweenHosts, ComparesWithARankOfAnotherHostThatIsFarBehind) {
  Told told;
  run_ranks(2,
            [&](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              const bool is_ahead = world.rank() == 0;
              for (int i = 1; i <= (is_ahead ? 1020 : 20); ++i) {
                const int64_t numel = is_ahead || i < 20 ? i : 7;
                const auto kind = is_ahead ? OperationKind::kSend : OperationKind::kReceive;
                const auto begun =
                    ledger->begin_message(operation(kind, numel, "x"), 1 - world.rank());
                if (i < 20) ledger->end({begun});
              }
              const std::string found = told.difference(world, *ledger);
              EXPECT_THAT(found, HasSubstr("rank 0 on host a: send of 20 fp32"));
              EXPECT_THAT(found, HasSubstr("rank 1 on host b: recv of 7 fp32"));
            },
            {"a", "b"});
}

TEST(LedgerBetweenHosts, TellsOfTheFirstThatIsKeptWhereMoreHaveNotEnded) {
  run_ranks(2,
            [&](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              for (int i = 0; i < 3000; ++i) ledger->begin(all_reduce(i));
              ASSERT_EQ(ledger->to_tell().size(), 1U);
              EXPECT_EQ(ledger->to_tell()[0].number, 3000U - 1024 + 1);
            },
            {"a", "b"});
}

TEST(LedgerBetweenHosts, CutsNamesBetweenTwoCharacters) {
  run_ranks(2,
            [](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              std::string name = "x";
              for (int i = 0; i < 100; ++i) name += "\u00e4";
              ledger->begin(operation(OperationKind::kAllReduce, 5, name));
              ASSERT_EQ(ledger->to_tell().size(), 1U);
              EXPECT_THAT(ledger->to_tell()[0].text, HasSubstr("\"" + name.substr(0, 87) + "\""));
              ledger->end(1);
              ledger->begin(operation(OperationKind::kAllReduce, 5, name.substr(1)));
              EXPECT_THAT(ledger->to_tell()[0].text, HasSubstr("\"" + name.substr(1, 86) + "\""));
            },
            {"a", "b"});
}

TEST(LedgerBetweenHosts, ComparesMessagesBetweenHosts) {
  Told told;
  run_ranks(
      4,
      [&](Communicator& world) {  // ranks 1 and 2, which are on different hosts
        const auto ledger = OperationLedger::open(world);
        ASSERT_TRUE(ledger);
        const int rank = world.rank(), peer = 3 - rank;
        const bool takes_part = rank == 1 || rank == 2;
        const auto begin = [&](OperationKind kind, int64_t numel) {
          if (!takes_part) return;
          const auto begun = ledger->begin_message(operation(kind, numel, "activations"), peer);
          if (numel < 300) ledger->end({begun});
        };
        const auto there = rank == 1 ? OperationKind::kSend : OperationKind::kReceive;
        const auto back = rank == 1 ? OperationKind::kReceive : OperationKind::kSend;
        for (int i = 1; i < 300; ++i) {
          begin(there, i);
          if (i % 2 == 0) begin(back, 300 - i);
        }
        if (takes_part)
          EXPECT_EQ(ledger->to_compare_with(),
                    (rank == 1 ? std::vector<int>{2} : std::vector<int>{0, 1}));
        EXPECT_EQ(told.difference(world, *ledger), "");
        begin(there, 1000);
        begin(back, rank == 1 ? 2000 : 3000);
        const std::string found = told.difference(world, *ledger);
        if (!takes_part) {
          EXPECT_EQ(found, "");
          return;
        }
        EXPECT_THAT(found, HasSubstr("ranks of group world disagree on what to do next: "));
        EXPECT_THAT(found,
                    HasSubstr("rank 1 on host a: recv of 2000 fp32 \"activations\" (step 7)"));
        EXPECT_THAT(found,
                    HasSubstr("rank 2 on host b: send of 3000 fp32 \"activations\" (step 7)"));
      },
      kTwoHosts);
}

TEST(LedgerBetweenHosts, FindsNothingInWhatIsBeingWritten) {
  run_ranks(4,
            [](Communicator& world) {
              const auto ledger = OperationLedger::open(world);
              ASSERT_TRUE(ledger);
              std::atomic<bool> is_done{false};
              std::thread reporter([&] {  // what it tells, as if it had come from elsewhere
                while (!is_done)
                  for (const BegunOperation& one : ledger->to_tell())
                    for (const int rank : ledger->to_compare_with())
                      EXPECT_EQ(ledger->compare(rank, one), std::nullopt);
              });
              for (int i = 0; i < 20'000; ++i) {
                const uint64_t number = ledger->begin(all_reduce(i));
                const auto kind = i % 2 == 0 ? OperationKind::kSend : OperationKind::kReceive;
                const int peer = (world.rank() + 1 + i / 2 % 3) % 4;  // more and more of them
                const auto begun = ledger->begin_message(operation(kind, i, "x"), peer);
                if (i % 3 == 0) ledger->end({begun});
                if (i % 5 == 0) ledger->end(number);
              }
              is_done = true;
              reporter.join();
            },
            {"a", "b", "c", "d"});
}

TEST(LedgerBetweenHosts, ComparesNothingOfAnotherGroup) {
  Told told;
  run_ranks(
      4,
      [&](Communicator& world) {
        const auto data = world.split(world.rank() % 2, "data");
        const auto ledger = OperationLedger::open(*data), other = OperationLedger::open(*data);
        ASSERT_TRUE(ledger && other);
        ledger->begin(all_reduce(data->rank()));
        other->begin(all_reduce(5));
        EXPECT_THAT(ledger->to_compare_with(), ElementsAre((world.rank() + 2) % 4));
        for (const BegunOperation& one : ledger->to_tell())
          EXPECT_EQ(other->compare((world.rank() + 2) % 4, one), std::nullopt);
        EXPECT_THAT(told.difference(world, *ledger),
                    AllOf(HasSubstr(c10::str("rank ", world.rank() % 2, " on host a")),
                          HasSubstr(c10::str("rank ", world.rank() % 2 + 2, " on host b"))));
      },
      kTwoHosts);
}

}  // namespace
}  // namespace triga
