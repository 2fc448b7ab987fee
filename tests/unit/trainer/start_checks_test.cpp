// What ranks find out of each other before they train: facts that do not fit, clocks, links.
#include "trainer/start_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "comm/host_leaders.h"
#include "tests/support/local_ranks.h"
#include "tests/support/temporary_folder.h"
#include "trainer/from_first_rank.h"
#include "trainer/host_clocks.h"
#include "trainer/lease.h"
#include "trainer/link_speed.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

RankFacts facts(const std::string& host, const std::string& triga = "0.1.0 (commit 1a)") {
  RankFacts facts;
  facts.host = host;
  facts.same["Triga"] = triga;
  facts.device = "CPU";
  return facts;
}

RankFacts on_gpu(const std::string& host, const std::string& gpu,
                 const std::string& nccl_host = "") {
  RankFacts found = facts(host);
  found.device = "a GPU";
  found.gpu = gpu;
  found.nccl_host = nccl_host;
  return found;
}

TEST(StartFacts, TravelAsText) {
  RankFacts mine = on_gpu("a", "GPU-1", "x");
  mine.same["plugin \"rnn\""] = "0.1.0\n";
  const RankFacts read = rank_facts_from_text(to_text(mine));
  EXPECT_EQ(read.host, mine.host);
  EXPECT_EQ(read.same, mine.same);
  EXPECT_EQ(read.gpu, mine.gpu);
  EXPECT_EQ(read.nccl_host, mine.nccl_host);
}

TEST(StartFacts, OfDifferentVersionsSayWhoHasWhich) {
  EXPECT_EQ(find_misfit({facts("a"), facts("a"), facts("b")}), "");
  EXPECT_THAT(
      find_misfit({facts("a"), facts("a"), facts("b", "0.2.0"), facts("b", "0.2.0"), facts("c")}),
      AllOf(HasSubstr("Triga is not the same on all ranks:"),
            HasSubstr("\n  0.1.0 (commit 1a): ranks 0-1, 4 on a, c"),
            HasSubstr("\n  0.2.0: ranks 2-3 on b")));
  RankFacts with_plugin = facts("b");
  with_plugin.same["plugin rnn"] = "0.1.0 (content 12)";
  EXPECT_THAT(find_misfit({facts("a"), with_plugin}),
              AllOf(HasSubstr("plugin rnn is not the same"), HasSubstr("none: rank 0 on a")));
}

TEST(StartFacts, OfAnotherFormAreAnotherVersion) {
  const RankFacts newer = rank_facts_from_text(
      R"({"host": "b", "same": {"Triga": "0.2.0", "A new fact": [1]}, "device": 3, "more": {}})");
  EXPECT_THAT(find_misfit({facts("a"), newer, newer}),
              AllOf(HasSubstr("Triga is not the same on all ranks:"),
                    HasSubstr("\n  0.1.0 (commit 1a): rank 0 on a"),
                    HasSubstr("\n  0.2.0: ranks 1-2 on b")));
  for (const char* text : {"", "0.3.0", "[]", "{}", R"({"host": null, "same": ["Triga"]})"})
    EXPECT_THAT(find_misfit({facts("a"), rank_facts_from_text(text)}),
                AllOf(HasSubstr("Triga is not the same on all ranks:"),
                      HasSubstr("\n  none: rank 1 on a host that it does not name")))
        << text;
}

TEST(StartFacts, OfManyRanksNameAFew) {
  std::vector<RankFacts> ranks;
  for (int i = 0; i < 100; ++i)
    ranks.push_back(facts("h" + std::to_string(i), i % 2 == 0 ? "0.1.0" : "0.2.0"));
  EXPECT_LT(find_misfit(ranks).size(), 1000U);
  EXPECT_THAT(find_misfit(ranks), HasSubstr("and 42 more"));
}

TEST(StartFacts, OfGpus) {
  EXPECT_EQ(find_misfit({on_gpu("a", "GPU-1"), on_gpu("a", "GPU-2"), on_gpu("b", "GPU-3")}), "");
  EXPECT_THAT(
      find_misfit({on_gpu("a", "GPU-1"), on_gpu("a", "GPU-2"), on_gpu("a", "GPU-1")}),
      AllOf(HasSubstr("GPU-1 is that of ranks 0, 2 on a"), HasSubstr("launch.ranks_per_node")));
  EXPECT_THAT(find_misfit({on_gpu("a", "GPU-1"), facts("b")}),
              AllOf(HasSubstr("some ranks compute on a GPU and others do not"),
                    HasSubstr("CPU: rank 1 on b")));
  const std::vector<RankFacts> told_apart = {on_gpu("a", "GPU-1", "x"), on_gpu("a", "GPU-1", "y")};
  EXPECT_EQ(find_misfit(told_apart), "");
  EXPECT_THAT(shared_gpus(told_apart), ElementsAre(HasSubstr("ranks 0-1 on a share GPU-1")));
}

TEST(StartChecks, AnotherExperimentIsNamedByItsKeysOnEveryRank) {
  testing::run_ranks(3, [](Communicator& world) {
    const std::string experiment = world.rank() == 2 ? "train: {max_steps: 20, seed: 1}\n"
                                                     : "train: {max_steps: 10, seed: 1}\n";
    std::string said;
    try {
      check_ranks(world, facts(""), experiment);
    } catch (const Error& error) {
      said = error.what();
      EXPECT_EQ(error.status(), ExitStatus::kUsage);
      EXPECT_EQ(dynamic_cast<const SaidByFirstRank*>(&error) != nullptr, world.rank() != 0);
    }
    EXPECT_THAT(said, AllOf(HasSubstr("rank 2 on "),
                            HasSubstr("train.max_steps: 10 on rank 0, 20 on rank 2"),
                            Not(HasSubstr("seed"))));
    EXPECT_THAT(check_ranks(world, facts(""), "train: {seed: 1}\n"), IsEmpty());
  });
}

/// Three ranks on two hosts; those of b look for the run at `of_b`. What each was told.
std::vector<std::string> see_run(const RunDirectory& of_a, const RunDirectory& of_b,
                                 std::chrono::milliseconds patience) {
  std::filesystem::create_directories(of_a.root);
  const Lease lease(posix_files(), of_a.lease());
  std::vector<std::string> told(3);
  testing::run_ranks(3,
                     [&](Communicator& world) {
                       try {
                         check_hosts_see_run(world, posix_files(), world.rank() < 2 ? of_a : of_b,
                                             lease.token(), patience);
                       } catch (const Error& error) {
                         told[static_cast<size_t>(world.rank())] = error.what();
                         EXPECT_EQ(error.status(), ExitStatus::kUsage);
                       }
                     },
                     {"a", "a", "b"});
  return told;
}

TEST(StartChecks, AHostThatDoesNotSeeTheRunIsNamedOnEveryRank) {
  const test::TemporaryFolder folder;
  const RunDirectory of_a{folder.path() / "a"}, of_b{folder.path() / "b"};
  EXPECT_THAT(see_run(of_a, of_b, milliseconds(10)),
              Each(AllOf(HasSubstr("in which rank 0 on a has begun the run:\n  b finds at "),
                         HasSubstr("there is no such folder"))));
  std::filesystem::create_directories(of_b.root);
  EXPECT_THAT(see_run(of_a, of_b, milliseconds(10)), Each(HasSubstr("in which no run has begun")));
}

TEST(StartChecks, AHostMaySeeTheRunLate) {
  const test::TemporaryFolder folder;
  const RunDirectory of_a{folder.path() / "a"}, of_b{folder.path() / "b"};
  std::thread server([&] {
    std::this_thread::sleep_for(milliseconds(300));
    std::filesystem::create_directory_symlink(of_a.root, of_b.root);
  });
  EXPECT_THAT(see_run(of_a, of_b, std::chrono::seconds(20)), Each(""));
  server.join();
}

TEST(StartChecks, LeadersAreTheLowestRanksOfHosts) {
  testing::run_ranks(2, [](Communicator& world) {
    EXPECT_THAT(host_leaders(world), ElementsAre(0)) << "threads of one process are one host";
  });
}

TEST(HostClocks, AreComparedByTheFastestRoundTrip) {
  const std::vector<RoundTrip> trips = {{10, 13, 12}, {20, 22.1, 20.2}, {30, 35, 34}};
  const ClockOffset offset = clock_offset(trips);
  EXPECT_NEAR(offset.seconds, 2.0, 1e-9);
  EXPECT_NEAR(offset.uncertainty, 0.1, 1e-9);
  EXPECT_THAT(clock_warning("b", offset, "a"),
              HasSubstr("the clock of b is 2.0 s ahead of that of a"));
  EXPECT_THAT(clock_warning("b", {-90, 0.1}, "a"), HasSubstr("90.0 s behind"));
  EXPECT_EQ(clock_warning("b", {1.5, 0.6}, "a"), "") << "not for certain";
}

TEST(HostClocks, AreMeasuredWithMessages) {
  testing::run_ranks(3, [](Communicator& world) {
    const auto offsets =
        measure_clocks(world, {0, 2}, [&] { return world.rank() == 2 ? 1005.0 : 1000.0; });
    if (world.rank() != 0) return;
    ASSERT_EQ(offsets.size(), 2U);
    EXPECT_EQ(offsets[0].seconds, 0);
    EXPECT_EQ(offsets[1].seconds, 5);
  });
}

TEST(LinkSpeed, IsMeasuredAndSaid) {
  testing::run_ranks(2, [](Communicator& world) {
    const StartSpeeds speeds = measure_start_speeds(world, 0);
    EXPECT_EQ(speeds.num_hosts, 1);
    EXPECT_GT(speeds.in_host, 1e6);
    EXPECT_EQ(speeds.between_hosts, 0);
    EXPECT_THAT(describe(speeds), AllOf(HasSubstr("all-reduce: "), HasSubstr(" inside the host")));
    EXPECT_EQ(speed_warning(speeds, false), "");
  });
}

TEST(LinkSpeed, FarBelowTheCardsIsAWarning) {
  StartSpeeds speeds;
  speeds.num_hosts = 2;
  speeds.in_host = 5e9;
  speeds.slowest_host = "a";
  speeds.between_hosts = 0.1e9;
  speeds.network = 1.25e9;
  EXPECT_EQ(describe(speeds),
            "all-reduce: 5.0 GB/s inside hosts (slowest: a), 100 MB/s between 2 hosts (network "
            "card: 1.2 GB/s)");
  EXPECT_THAT(speed_warning(speeds, false),
              AllOf(HasSubstr("exchange 100 MB/s where their network cards can 1.2 GB/s"),
                    HasSubstr("btl_tcp_if_include")));
  EXPECT_THAT(speed_warning(speeds, true), HasSubstr("NCCL_SOCKET_IFNAME"));
  speeds.network = 25e9;  // MPI from the memory of a process cannot fill it
  speeds.between_hosts = 0.5e9;
  EXPECT_EQ(speed_warning(speeds, false), "");
  EXPECT_NE(speed_warning(speeds, true), "");
  speeds.network = 0;
  EXPECT_EQ(speed_warning(speeds, true), "") << "nobody knows what to expect";
  speeds.between_hosts = 5e6;
  EXPECT_THAT(speed_warning(speeds, false),
              HasSubstr("exchange 5 MB/s where the slowest networks of clusters do 125 MB/s"));
}

TEST(LinkSpeed, FarBelowTheBusOrTheMemoryIsAWarning) {
  StartSpeeds speeds;
  EXPECT_EQ(speed_warning_in_host(speeds, true), "") << "one rank a host";
  speeds.slowest_host = "a";
  speeds.in_host = 1.1e9;
  EXPECT_EQ(speed_warning_in_host(speeds, false), "");
  EXPECT_THAT(
      speed_warning_in_host(speeds, true),
      AllOf(HasSubstr("ranks of host a reduce 1.1 GB/s together"), HasSubstr("NCCL_P2P_DISABLE")));
  speeds.in_host = 50e6;
  EXPECT_THAT(speed_warning_in_host(speeds, false), HasSubstr("a core each"));
}

TEST(LinkSpeed, OfCardsThatAreUpAndHaveADevice) {
  const test::TemporaryFolder folder;
  const auto card = [&](const std::string& name, const std::string& state, const std::string& speed,
                        bool has_device) {
    const auto path = folder.path() / "sys/class/net" / name;
    std::filesystem::create_directories(has_device ? path / "device" : path);
    std::ofstream(path / "operstate") << state << "\n";
    std::ofstream(path / "speed") << speed << "\n";
  };
  EXPECT_EQ(network_bytes_per_second(folder.path()), 0);
  card("eth0", "up", "10000", true);
  card("eth1", "down", "100000", true);
  card("br0", "up", "400000", false);
  card("eth2", "up", "-1", true);
  EXPECT_EQ(network_bytes_per_second(folder.path()), 1.25e9);
  const auto port = folder.path() / "sys/class/infiniband/mlx5_0/ports/1";
  std::filesystem::create_directories(port);
  std::ofstream(port / "state") << "4: ACTIVE\n";
  std::ofstream(port / "rate") << "200 Gb/sec (4X HDR)\n";
  EXPECT_EQ(network_bytes_per_second(folder.path()), 25e9);
}

}  // namespace
}  // namespace triga
