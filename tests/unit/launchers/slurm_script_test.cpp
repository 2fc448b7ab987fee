// The script of a job: what it asks for and what it runs. Whether it does the right thing when a run
// ends is tested by running it: tests/end_to_end/submit_test.py, tests/cluster.
#include "launchers/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launchers/programs.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

SlurmJob small_job() {
  SlurmJob job;
  job.name = "gpt2";
  job.written_by = "A job of Triga";
  job.launch.nodes = 2;
  job.launch.ranks_per_node = 4;
  job.working_directory = "/home/a";
  job.run_directory = "/home/a/runs/gpt2";
  job.program = {"/opt/triga-0.1.0/bin/triga"};
  job.arguments = {"train", "/home/a/a.yaml"};
  return job;
}

TEST(SlurmScript, AsksForWhatLaunchSaysAndNothingElse) {
  const std::string script = slurm_script(small_job());
  EXPECT_THAT(script, StartsWith(R"(#!/bin/bash
# A job of Triga
#SBATCH --job-name=gpt2
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --chdir=/home/a
#SBATCH --output=/home/a/runs/gpt2-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120

ask_to_save() {
)"));
  EXPECT_THAT(script, HasSubstr(R"(
run_dir=/home/a/runs/gpt2
export TRIGA_GRACE_SECONDS=120
step_arguments=(--nodes=2 --ntasks=8 --ntasks-per-node=4 --mpi=pmix --kill-on-bad-exit=1 --export=ALL)
rank=(/opt/triga-0.1.0/bin/triga train /home/a/a.yaml --run-dir "$run_dir")
first=()
)"));
}

TEST(SlurmScript, HasAllThatASiteMayWant) {
  SlurmJob job = small_job();
  job.launch.gpus_per_node = 4;
  job.launch.cpus_per_rank = 8;
  job.launch.memory = "64G";
  job.launch.time = "2-00:00:00";
  job.launch.partition = "gpu";
  job.launch.account = "me";
  job.launch.save_before_seconds = 0;
  job.launch.modules = {"openmpi/4.1", "cuda"};
  job.launch.setup = {"ulimit -l unlimited"};
  job.launch.environment = {{"NCCL_DEBUG", "INFO"}, {"TRIGA_DATA_DIR", "/scratch/my data"}};
  job.launch.sbatch = {"--constraint=a100", "--mail-type=END"};
  job.launch.srun = {"--cpu-bind=cores"};
  job.variables = {{"TRIGA_DATA_DIR", "data"}, {"TRIGA_CACHE_DIR", "/cache"}};
  job.sbatch = {"--dependency=afterok:12"};
  job.first_arguments = {"--fresh"};
  const std::string script = slurm_script(job);
  EXPECT_THAT(script, StartsWith(R"(#!/bin/bash
# A job of Triga
#SBATCH --job-name=gpt2
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --mem=64G
#SBATCH --time=2-00:00:00
#SBATCH --partition=gpu
#SBATCH --account=me
#SBATCH --chdir=/home/a
#SBATCH --output=/home/a/runs/gpt2-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --constraint=a100
#SBATCH --mail-type=END
#SBATCH --dependency=afterok:12

ask_to_save() {
)"));
  EXPECT_THAT(script, HasSubstr(R"(
# Of the site.
module load openmpi/4.1 cuda || { echo 'triga: module load openmpi/4.1 cuda failed'; exit 2; }
ulimit -l unlimited
export NCCL_DEBUG=INFO
export TRIGA_CACHE_DIR=/cache
export TRIGA_DATA_DIR='/scratch/my data'

run_dir=/home/a/runs/gpt2
step_arguments=(--nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=8 --mpi=pmix --kill-on-bad-exit=1 --export=ALL --cpu-bind=cores)
rank=(/opt/triga-0.1.0/bin/triga train /home/a/a.yaml --run-dir "$run_dir")
first=(--fresh)
)"));
}

TEST(SlurmScript, OfAnArrayHasARunForEachTask) {
  SlurmJob job = small_job();
  job.launch.array = "0-3%2";
  const std::string script = slurm_script(job);
  EXPECT_THAT(script, HasSubstr("\n#SBATCH --array=0-3%2\n"));
  EXPECT_THAT(script, HasSubstr("\n#SBATCH --output=/home/a/runs/gpt2-%A_%a.log\n"));
  EXPECT_THAT(script, HasSubstr("\nrun_dir=/home/a/runs/gpt2/$SLURM_ARRAY_TASK_ID\n"));
  EXPECT_EQ(slurm_log(job, "12", "*"), "/home/a/runs/gpt2-12_*.log");
}

TEST(SlurmScript, QuotesWhatAShellAndSlurmWouldChange) {
  SlurmJob job = small_job();
  job.working_directory = "/home/my work";
  job.run_directory = "/home/my work/100%/it's";
  job.arguments = {"train", "/home/my work/a.yaml", "--set", "name=$(reboot)"};
  const std::string script = slurm_script(job);
  EXPECT_THAT(script, HasSubstr("\n#SBATCH --chdir=\"/home/my work\"\n"));
  EXPECT_THAT(script, HasSubstr("\n#SBATCH --output=\"/home/my work/100%%/it's-%j.log\"\n"));
  EXPECT_THAT(script, HasSubstr("\nrun_dir='/home/my work/100%/it'\\''s'\n"));
  EXPECT_THAT(script, HasSubstr("'/home/my work/a.yaml' --set 'name=$(reboot)' --run-dir"));
}

TEST(RankProgram, IsTheCommandOrTheContainers) {
  LaunchConfig launch;
  EXPECT_THAT(rank_program(launch, "/opt/triga/bin/triga"), ElementsAre("/opt/triga/bin/triga"));
  launch.container.emplace();
  launch.container->image.path = "/images/triga.sif";
  EXPECT_THAT(rank_program(launch, "/opt/triga/bin/triga"),
              ElementsAre("apptainer", "exec", "/images/triga.sif", "/opt/triga/bin/triga"));
  launch.container->command = {"apptainer", "exec", "--nv"};
  launch.container->triga = "/usr/bin/triga";
  EXPECT_THAT(rank_program(launch, "/opt/triga/bin/triga"),
              ElementsAre("apptainer", "exec", "--nv", "/images/triga.sif", "/usr/bin/triga"));
}

TEST(ShellWord, IsQuotedOnlyWhereItMustBe) {
  EXPECT_EQ(shell_line({"a", "--b=c/d", "", "e f", "it's"}), R"(a --b=c/d '' 'e f' 'it'\''s')");
  EXPECT_THAT(shell_word("~"), Not(HasSubstr("\""))) << "not one that the shell would expand";
  EXPECT_EQ(shell_word("~"), "'~'");
}

TEST(CommandToGoOn, LeavesOutWhatHoldsForAFirstStart) {
  EXPECT_EQ(command_to_go_on({"launch", "--fresh", "a b.yaml", "-n", "2", "--set", "x={y: 1}"}),
            "triga launch 'a b.yaml' -n 2 --set 'x={y: 1}'");
  EXPECT_EQ(command_to_go_on({"submit", "a.yaml", "--print", "--resume", "auto"}),
            "triga submit a.yaml --resume auto");
  EXPECT_EQ(command_to_go_on({"submit", "a.yaml", "--fresh=true"}), "triga submit a.yaml");
  EXPECT_EQ(command_to_go_on({"train", "--resume", "c/step-5", "a.yaml"}),
            "triga train --resume c/step-5 a.yaml")
      << "the run may die before it has a checkpoint of its own";
}

}  // namespace
}  // namespace triga
