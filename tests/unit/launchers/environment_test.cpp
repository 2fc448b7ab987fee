// What launchers set in the environment, and how many threads a rank takes of what they give it.
#include "launchers/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>

namespace triga {
namespace {

using Variables = std::map<std::string, std::string>;

VariableLookup lookup(const Variables& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

/// A rank of `srun --mpi=pmix`.
Placement under_slurm(const std::string& tasks_per_node, int node) {
  return read_placement(lookup({{"PMIX_RANK", "5"},
                                {"SLURM_STEP_ID", "0"},
                                {"SLURM_STEP_NUM_TASKS", "11"},
                                {"SLURM_NTASKS", "64"},
                                {"SLURM_LOCALID", "1"},
                                {"SLURM_NODEID", std::to_string(node)},
                                {"SLURM_STEP_TASKS_PER_NODE", tasks_per_node}}));
}

TEST(Placement, OfAProcessStartedByHandIsOneOfOne) {
  for (const Variables& variables :
       {Variables{}, Variables{{"SLURM_NTASKS", "8"}, {"SLURM_STEP_ID", "0"}}}) {
    const Placement place = read_placement(lookup(variables));
    EXPECT_FALSE(place.is_launched());
    EXPECT_EQ(place.world_size, 1);
    EXPECT_EQ(place.local_size, 1);
  }
}

TEST(Placement, OfAnAllocationIsOneOfOne) {
  const Variables job = {{"SLURM_JOB_ID", "12"},
                         {"SLURM_NTASKS", "8"},
                         {"SLURM_JOB_NUM_NODES", "2"},
                         {"SLURM_PROCID", "0"},
                         {"SLURM_STEP_NUM_TASKS", "8"}};
  EXPECT_FALSE(read_placement(lookup(job)).is_launched()) << "a batch script, or salloc's shell";
  // Slurm's own steps: the shell of salloc, a batch script, what is outside of all steps.
  for (const char* step : {"4294967290", "4294967291", "4294967292", "4294967294", "batch", ""}) {
    Variables variables = job;
    variables["SLURM_STEP_ID"] = step;
    variables["PMIX_RANK"] = "0";
    const Placement place = read_placement(lookup(variables));
    EXPECT_FALSE(place.is_launched()) << step;
    EXPECT_EQ(place.world_size, 1);
    EXPECT_EQ(place.problem, "");
  }
}

TEST(Placement, OfSeveralTasksWithoutPmixIsAProblem) {
  const Placement place = read_placement(
      lookup({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}}));
  EXPECT_FALSE(place.is_launched());
  EXPECT_THAT(place.problem, testing::HasSubstr("2 tasks without PMIx"));
  EXPECT_EQ(read_placement(lookup({{"SLURM_STEP_ID", "3"}, {"SLURM_STEP_NUM_TASKS", "1"}})).problem,
            "");
}

TEST(Placement, OfAShellThatIsAStepMayStartRanks) {
  Variables variables = {{"PMIX_RANK", "0"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}};
  const Placement shell = read_placement(lookup(variables));
  EXPECT_TRUE(shell.is_shell());
  EXPECT_EQ(rank_problem(shell, "triga launch"), "");
  variables["SLURM_STEP_NUM_TASKS"] = "2";
  const Placement rank = read_placement(lookup(variables));
  EXPECT_FALSE(rank.is_shell());
  EXPECT_THAT(rank_problem(rank, "triga launch"), testing::HasSubstr("inside a rank of PMIx"));
  EXPECT_FALSE(
      read_placement(lookup({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}}))
          .is_shell())
      << "a rank of mpirun";
}

TEST(Step, IsForgottenAndTheJobIsNot) {
  const std::vector<std::string> of_step = {
      "PMIX_RANK",    "PMIX_SERVER_URI41",         "PMI_SIZE",     "SLURM_STEP_ID",
      "SLURM_STEPID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID"};
  const std::vector<std::string> of_job = {"PMIX_MCA_gds", "SLURM_JOB_ID", "SLURM_NODELIST",
                                           "SLURM_TASKS_PER_NODE"};
  for (const auto& names : {of_step, of_job})
    for (const std::string& name : names) ::setenv(name.c_str(), "1", 1);
  forget_step();
  for (const std::string& name : of_step)
    EXPECT_FALSE(environment_variable(name).has_value()) << name;
  for (const std::string& name : of_job) {
    EXPECT_TRUE(environment_variable(name).has_value()) << name;
    ::unsetenv(name.c_str());
  }
}

TEST(Placement, OfTheLauncherOfAnotherMpiIsAProblem) {
  for (const char* name : {"PMI_SIZE", "MV2_COMM_WORLD_SIZE"}) {
    EXPECT_THAT(read_placement(lookup({{name, "4"}})).problem,
                testing::HasSubstr("the launcher of another MPI started 4 processes"));
    EXPECT_EQ(read_placement(lookup({{name, "1"}})).problem, "");
  }
}

TEST(Placement, ThatMpiDoesNotConfirmIsAProblem) {
  Placement place;
  place.launcher = "Open MPI";
  place.world_size = 4;
  EXPECT_EQ(world_problem(place, 4), "");
  EXPECT_THAT(world_problem(place, 1), testing::HasSubstr("each would train alone"));
  EXPECT_THAT(world_problem(place, 2), testing::HasSubstr("MPI brought 2 of them together.\n"));
}

TEST(Placement, OfOpenMpi) {
  const Placement place = read_placement(lookup({{"OMPI_COMM_WORLD_SIZE", "8"},
                                                 {"OMPI_COMM_WORLD_RANK", "5"},
                                                 {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                 {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}));
  EXPECT_EQ(place.launcher, "Open MPI");
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.world_size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 4);
}

TEST(Placement, OfSlurmCountsTheTasksOfItsNode) {
  const Placement place = under_slurm("4(x2),3", 1);
  EXPECT_EQ(place.launcher, "PMIx");
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.world_size, 11) << "of the step, not of the allocation";
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 4);
  EXPECT_EQ(under_slurm("4(x2),3", 0).local_size, 4);
  EXPECT_EQ(under_slurm("4(x2),3", 2).local_size, 3);
  EXPECT_EQ(under_slurm("2,1(x12),7", 13).local_size, 7);
  EXPECT_EQ(under_slurm("4(x2)", 9).local_size, 4) << "a node that is not listed: the last entry";
  EXPECT_EQ(under_slurm("2", 0).local_size, 2);
  EXPECT_EQ(under_slurm("", 0).local_size, 1);
  EXPECT_EQ(under_slurm("many", 0).local_size, 1);
}

TEST(Threads, AreAShareWhereMasksOverlap) {
  EXPECT_EQ(num_threads({.mine = 16, .of_all = 16}, 4), 4);
  EXPECT_EQ(num_threads({.mine = 16, .of_all = 16}, 3), 5);
  EXPECT_EQ(num_threads({.mine = 2, .of_all = 2}, 8), 1);
  EXPECT_EQ(num_threads({.mine = 16, .of_all = 16}, 1), 16);
  EXPECT_EQ(num_threads({.mine = 12, .of_all = 16}, 2), 8);
  EXPECT_EQ(num_threads({.mine = 32, .of_all = 64}, 4), 16) << "two ranks on each of two sockets";
}

TEST(Threads, AreTheWholeMaskWhereEachRankHasItsOwn) {
  EXPECT_EQ(num_threads({.mine = 8, .of_all = 32}, 4), 8);  // srun --cpus-per-task=8
  EXPECT_EQ(num_threads({.mine = 1, .of_all = 4}, 4), 1);   // mpirun --bind-to core
}

TEST(Binding, IsTheDefaultOfMpirunUnlessSomebodyAskedForIt) {
  const std::pair<const std::string, std::string> bound{"OMPI_MCA_orte_bound_at_launch", "1"};
  EXPECT_TRUE(is_bound_by_default(lookup({bound})));
  EXPECT_FALSE(is_bound_by_default(lookup({})));
  EXPECT_FALSE(
      is_bound_by_default(lookup({bound, {"OMPI_MCA_hwloc_base_binding_policy", "core"}})));
  EXPECT_FALSE(
      is_bound_by_default(lookup({bound, {"OMPI_MCA_rmaps_base_mapping_policy", "slot:PE=4"}})));
}

TEST(Threads, ShareTheQuotaOfTheControlGroup) {
  EXPECT_EQ(num_threads({.mine = 64, .of_all = 64, .quota = 8}, 2), 4);
  EXPECT_EQ(num_threads({.mine = 64, .of_all = 64, .quota = 0.5}, 2), 1);
  EXPECT_EQ(num_threads({.mine = 8, .of_all = 32, .quota = 12}, 4), 3);
}

TEST(Cores, AreCountedFromTheMaskAndAtMostWhatSlurmGaveTheJob) {
  cpu_set_t mask;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(mask), &mask), 0);
  const CoreCounts cores = count_cores(lookup({}));
  EXPECT_EQ(cores.mine, CPU_COUNT(&mask));
  EXPECT_GE(cores.of_all, 1);
  EXPECT_GT(cores.quota, 0);
  EXPECT_EQ(count_cores(lookup({{"SLURM_CPUS_ON_NODE", "1"}})).of_all, 1);
}

}  // namespace
}  // namespace triga
