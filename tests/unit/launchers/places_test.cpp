// Which hosts `triga launch` takes, and the jobs of schedulers that it finds itself in.
#include "launchers/places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "triga/error.h"

namespace triga {
namespace {

using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

VariableLookup lookup(const std::map<std::string, std::string>& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(Allocation, OfSlurm) {
  const auto found = read_allocation(lookup(
      {{"SLURM_JOB_ID", "12"}, {"SLURM_JOB_NUM_NODES", "2"}, {"SLURM_JOB_NODELIST", "node[1-2]"}}));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->num_hosts, 2);
  EXPECT_EQ(describe(*found), "job 12 of Slurm (2 hosts: node[1-2])");
  EXPECT_EQ(found->host_file, "") << "mpirun asks Slurm";
  EXPECT_FALSE(read_allocation(lookup({{"SLURM_CONF", "/etc/slurm.conf"}})).has_value());
}

TEST(Allocation, OfPbsAndLsfIsAFile) {
  const test::TemporaryFolder folder;
  const std::string file = folder.write("hosts", "a\na\nb\nb\nc 4\n\n");
  const auto pbs = read_allocation(lookup({{"PBS_JOBID", "7.pbs"}, {"PBS_NODEFILE", file}}));
  ASSERT_TRUE(pbs.has_value());
  EXPECT_EQ(describe(*pbs), "job 7.pbs of PBS (3 hosts)");
  EXPECT_EQ(pbs->host_file, file);
  const auto lsf = read_allocation(lookup({{"LSB_JOBID", "9"}, {"LSB_DJOB_HOSTFILE", file}}));
  ASSERT_TRUE(lsf.has_value());
  EXPECT_EQ(describe(*lsf), "job 9 of LSF (3 hosts)");
}

Allocation job_of(int num_hosts) {
  return {.scheduler = "Slurm", .job = "12", .num_hosts = num_hosts, .hosts = "", .host_file = ""};
}

LaunchConfig config(int nodes, int ranks_per_node) {
  LaunchConfig launch;
  launch.nodes = nodes;
  launch.ranks_per_node = ranks_per_node;
  return launch;
}

std::vector<Host> hosts(const std::vector<std::string>& words) {
  return parse_hosts(words);
}

TEST(Places, AreThisHostUnlessSomethingElseIsKnown) {
  const Places places = choose_places({}, {}, config(1, 4));
  EXPECT_EQ(places.num_ranks, 4);
  EXPECT_EQ(places.num_hosts, 1);
  EXPECT_THAT(places.mpirun_arguments(), IsEmpty());
  EXPECT_EQ(
      choose_places({.num_ranks = 2, .num_hosts = {}, .hosts = {}}, {}, config(4, 4)).num_hosts, 1)
      << "-n asks for ranks here";
}

TEST(Places, AreThoseOfTheJob) {
  const Places all = choose_places({}, job_of(3), config(1, 4));
  EXPECT_EQ(all.num_hosts, 3);
  EXPECT_EQ(all.num_ranks, 12);
  EXPECT_THAT(all.mpirun_arguments(), ElementsAre("--map-by", "ppr:4:node"));
  const Places fewer =
      choose_places({.num_ranks = 2, .num_hosts = {}, .hosts = {}}, job_of(3), config(1, 4));
  EXPECT_EQ(fewer.num_hosts, 2);
  const Places one =
      choose_places({.num_ranks = {}, .num_hosts = 1, .hosts = {}}, job_of(3), config(3, 4));
  EXPECT_EQ(one.num_ranks, 4);
  EXPECT_THAT(one.mpirun_arguments(), IsEmpty());
  Allocation pbs = job_of(2);
  pbs.host_file = "/hosts";
  EXPECT_THAT(choose_places({}, pbs, config(1, 2)).mpirun_arguments(),
              ElementsAre("--hostfile", "/hosts", "--map-by", "ppr:2:node"));
}

TEST(Places, AreNamedHostsBeforeAllElse) {
  const Places places = choose_places({.num_ranks = 5, .num_hosts = {}, .hosts = hosts({"a", "b"})},
                                      job_of(9), config(1, 4));
  EXPECT_FALSE(places.allocation.has_value());
  EXPECT_EQ(places.num_hosts, 2);
  EXPECT_THAT(places.mpirun_arguments(),
              ElementsAre("--host", "a:3,b:3", "--map-by", "ppr:3:node"));
  EXPECT_THAT(
      choose_places({.num_ranks = {}, .num_hosts = 1, .hosts = hosts({"a", "b"})}, {}, config(1, 4))
          .mpirun_arguments(),
      ElementsAre("--host", "a:4"));
}

TEST(Places, HaveAsManyRanksAsHostsSay) {
  const PlacesRequest all = {.num_ranks = {}, .num_hosts = {}, .hosts = hosts({"a:2", "b:1"})};
  const Places places = choose_places(all, {}, config(1, 8));
  EXPECT_EQ(places.num_ranks, 3);
  EXPECT_THAT(places.mpirun_arguments(), ElementsAre("--host", "a:2,b:1", "--map-by", "slot"));
  PlacesRequest fewer = all;
  fewer.num_ranks = 2;
  EXPECT_THAT(choose_places(fewer, {}, config(1, 8)).mpirun_arguments(),
              ElementsAre("--host", "a:2", "--map-by", "slot"));
  PlacesRequest first = all;
  first.num_hosts = 1;
  EXPECT_EQ(choose_places(first, {}, config(1, 8)).num_ranks, 2);
  const Places left = places_on(hosts({"b:1"}), places);
  EXPECT_EQ(left.num_ranks, 1);
}

TEST(Places, OfAnotherStartAreSpareHostsOrFewerRanks) {
  Places before;
  before.hosts = hosts({"a", "b"});
  before.num_hosts = 2;
  before.num_ranks = 5;
  const Places spare = places_on(hosts({"b", "c", "d"}), before);
  EXPECT_THAT(names_of(spare.hosts), ElementsAre("b", "c"));
  EXPECT_EQ(spare.num_ranks, 5);
  const Places fewer = places_on(hosts({"b"}), before);
  EXPECT_THAT(names_of(fewer.hosts), ElementsAre("b"));
  EXPECT_EQ(fewer.num_ranks, 3);
  EXPECT_EQ(places_on({}, before).num_ranks, 0);
}

TEST(Places, OfAnotherStartAreAsManyHostsAsTheRanksNeed) {
  const Places before =
      choose_places({.num_ranks = 6, .num_hosts = {}, .hosts = hosts({"a:4", "b:2", "c:2", "d:2"})},
                    {}, config(1, 1));
  EXPECT_THAT(names_of(before.hosts), ElementsAre("a", "b"));
  const Places without_a = places_on(hosts({"b:2", "c:2", "d:2"}), before);
  EXPECT_THAT(names_of(without_a.hosts), ElementsAre("b", "c", "d"));
  EXPECT_EQ(without_a.num_ranks, 6);
}

TEST(Places, AreRefusedWhereTheyAreTooFewOrNotKnown) {
  const auto problem = [](PlacesRequest request, std::optional<Allocation> allocation,
                          const LaunchConfig& launch) {
    return message_of<ConfigError>([&] { choose_places(request, allocation, launch); });
  };
  EXPECT_THAT(problem({.num_ranks = 2, .num_hosts = 3, .hosts = {}}, job_of(3), config(1, 1)),
              HasSubstr("-N: 3 hosts for -n 2; at least one rank a host"));
  EXPECT_THAT(
      problem({.num_ranks = {}, .num_hosts = 3, .hosts = hosts({"a", "b"})}, {}, config(1, 1)),
      HasSubstr("-N: 3 hosts, but only 2 are named"));
  EXPECT_THAT(
      problem({.num_ranks = {}, .num_hosts = 3, .hosts = hosts({"a:2", "b:2"})}, {}, config(1, 1)),
      HasSubstr("-N: 3 hosts, but only 2 are named"));
  EXPECT_THAT(
      problem({.num_ranks = 4, .num_hosts = {}, .hosts = hosts({"a:2", "b:1"})}, {}, config(1, 1)),
      HasSubstr("-n: 4 ranks, but the 2 hosts have places for 3"));
  EXPECT_THAT(
      problem({.num_ranks = 2, .num_hosts = 2, .hosts = hosts({"a:2", "b:2"})}, {}, config(1, 1)),
      HasSubstr("-N: 2 hosts, but -n 2 have places on the first 1 of them"));
  EXPECT_THAT(problem({.num_ranks = {}, .num_hosts = 3, .hosts = {}}, job_of(2), config(1, 1)),
              HasSubstr("-N: 3 hosts, but this is job 12 of Slurm (2 hosts)"));
  EXPECT_THAT(problem({}, {}, config(2, 1)),
              HasSubstr("launch.nodes: 2 hosts, and it is not known which"));
}

}  // namespace
}  // namespace triga
