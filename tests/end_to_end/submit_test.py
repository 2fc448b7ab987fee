"""triga submit without a cluster: the script, what sbatch is told, and what the script does when a run ends. Stand-ins
for sbatch, srun and scontrol write down how they were called; tests/cluster has real ones."""

import os
import pathlib
import signal
import subprocess
import time
import unittest

from triga_runner import TRIGA, TrigaTest, environment

SBATCH = """#!/bin/bash
echo "$@" >"$STAND_INS/sbatch.called"
echo "${SBATCH_SAYS-42;cluster}"
exit "${SBATCH_STATUS-0}"
"""

# Ends as the test says: $OUTCOME is run with the run's folder in run_dir.
SRUN = """#!/bin/bash
printf '%s\\n' "$@" >"$STAND_INS/srun.called"
while (($#)); do if [[ $1 == --run-dir ]]; then run_dir=$2; fi; shift; done
mkdir -p "$run_dir/checkpoints"
status() {  # STATE STEP EXIT_STATUS
  printf '{\\n  "state": "%s",\\n  "cause": "a \\\\"step\\\\": 9",\\n  "step": %d,\\n  "exit_status": %s\\n}\\n' "$@" >"$run_dir/.status"
  mv "$run_dir/.status" "$run_dir/status.json"
}
eval "$OUTCOME"
"""

SCONTROL = """#!/bin/bash
if [[ "$1 $2" == "show config" ]]; then
  printf 'KeepAliveTime           = SYSTEM_DEFAULT\\nKillOnBadExit           = 0\\nKillWait                = 45 sec\\n'
  exit
fi
if [[ $1 == show ]]; then
  echo "JobId=$4 JobName=tiny JobState=${JOB_STATE-RUNNING} Reason=None"
  exit
fi
echo "$@" >"$STAND_INS/scontrol.called"
exit "${SCONTROL_STATUS-0}"
"""


class SubmitCase(TrigaTest):
    def setUp(self):
        super().setUp()
        self.stand_ins = self.folder / "bin"
        self.stand_ins.mkdir()
        for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
            (self.stand_ins / name).write_text(text)
            (self.stand_ins / name).chmod(0o755)

    def with_stand_ins(self, **changes):
        return environment(PATH=f"{self.stand_ins}:{os.environ['PATH']}", STAND_INS=self.stand_ins,
                           XDG_CONFIG_HOME=self.folder / "config", **changes)

    def submit(self, *arguments, status=0, **changes):
        completed = self.command("submit", self.experiment, *arguments, env=self.with_stand_ins(**changes))
        self.assertEqual(completed.returncode, status, completed.stdout + completed.stderr)
        return completed

    def called(self, name):
        path = self.stand_ins / f"{name}.called"
        text = path.read_text().strip() if path.exists() else None
        path.unlink(missing_ok=True)
        return text


class Submit(SubmitCase):
    def test_it_submits_the_script_that_print_shows(self):
        printed = self.submit("--print", "--set", "launch.time=60").stdout
        self.assertIsNone(self.called("sbatch"))
        self.assertFalse((self.folder / "runs").exists(), "--print wrote something")
        done = self.submit("--set", "launch.time=60")
        script = self.folder / "runs" / "tiny.sbatch"
        self.assertEqual(script.read_text(), printed)
        self.assertEqual(self.called("sbatch"), f"--parsable {script}")
        for words in ("job 42 is submitted", "scancel 42", str(script), str(self.folder / "runs" / "tiny-42.log"),
                      str(self.folder / "runs" / "tiny")):
            self.assertIn(words, done.stdout)
        self.assertIn("\n#SBATCH --time=60\n", printed)
        self.assertEqual(subprocess.run(["bash", "-n", script]).returncode, 0)

    def test_the_job_runs_the_file_that_a_link_led_to(self):
        """The link may lead to another version while the job waits."""
        link = self.folder / "newest"
        link.symlink_to(TRIGA.resolve())
        printed = subprocess.run([link, "submit", self.experiment, "--print"], cwd=self.folder, env=self.with_stand_ins(),
                                 capture_output=True, text=True, timeout=300)
        self.assertEqual(printed.returncode, 0, printed.stdout + printed.stderr)
        self.assertIn(f"rank=({TRIGA.resolve()} train {self.experiment} ", printed.stdout)
        self.assertNotIn(str(link), printed.stdout)

    def test_a_folder_that_other_hosts_do_not_see_is_a_warning(self):
        here = f"/tmp/{self.folder.name}/runs"
        several = self.submit("--print", "--run-dir", here, "--set", "launch.nodes=2")
        self.assertRegex(several.stderr, f"triga: warning: the run's folder {here} is to lie on .*: as far as this host can tell, "
                                         "only this host sees it, and the run has 2 hosts; .*--run-dir DIR\n")
        self.assertIn("#SBATCH --nodes=2\n", several.stdout)
        self.assertNotIn("only this host sees it", self.submit("--print", "--run-dir", here).stderr)

    def test_site_files_are_laid_over_launch_later_ones_last(self):
        (self.folder / "config" / "triga").mkdir(parents=True)
        (self.folder / "config" / "triga" / "site.yaml").write_text(
            "launch: {partition: gpu, account: me, ranks_per_node: 4, environment: {NCCL_DEBUG: WARN}}\n")
        (self.folder / "here.yaml").write_text("launch: {partition: long, container: {image: images/triga.sif}}\n")
        script = self.submit("--print", "--site", "here.yaml", "--set", "launch.account=you").stdout
        self.assertIn("#SBATCH --partition=long\n#SBATCH --account=you\n", script)
        self.assertIn("#SBATCH --ntasks-per-node=4\n", script)
        self.assertIn("export NCCL_DEBUG=WARN\n", script)
        self.assertIn(f"rank=(apptainer exec {self.folder}/images/triga.sif {TRIGA.resolve()} train", script)
        (self.folder / "here.yaml").write_text("launch: {partitoin: long}\n")
        wrong = self.submit("--site", "here.yaml", status=2)
        self.assertIn("here.yaml:1: launch.partitoin: unknown key; did you mean partition?", wrong.stderr)
        missing = self.submit("--site", "there.yaml", status=2)
        self.assertIn("there.yaml: no such file", missing.stderr)

    def test_what_is_wrong_is_refused_before_it_waits_in_a_queue(self):
        self.assertIn("parallel", self.submit("--set", "parallel.dp=3", status=2).stderr)
        self.assertIn("no such file", self.submit("--set", "data.train.files=[none.txt]", status=4).stderr.lower())
        refused = self.submit(status=2, SBATCH_STATUS=1)
        self.assertIn("sbatch refused the job", refused.stderr)
        inside = self.submit(status=2, OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_RANK=0)
        self.assertIn("triga submit runs inside a rank of Open MPI", inside.stderr)
        shell = self.submit("--print", SLURM_JOB_ID=1, SLURM_STEP_ID=0, SLURM_STEP_NUM_TASKS=1, PMIX_RANK=0)
        self.assertIn("#SBATCH", shell.stdout, "srun --pty bash, where the default is PMIx")
        (self.stand_ins / "sbatch").unlink()
        nowhere = self.command("submit", self.experiment, env={**self.with_stand_ins(), "PATH": "/nowhere"})
        self.assertEqual(nowhere.returncode, 2)
        self.assertIn("sbatch is not in PATH", nowhere.stderr)

    def test_a_run_that_is_finished_or_another_is_not_submitted(self):
        self.launch(1, "runs/tiny", "--set", "train.max_steps=2")
        self.assertIn("finished already", self.submit("--set", "train.max_steps=2").stdout)
        self.assertIsNone(self.called("sbatch"))
        other = self.submit("--set", "train.max_steps=2", "--set", "train.seed=9", status=2)
        self.assertIn("train.seed: 3 before, 9 now", other.stderr)
        self.submit("--set", "train.max_steps=2", "--set", "train.seed=9", "--fresh")
        self.assertIsNotNone(self.called("sbatch"))

    def test_a_task_of_an_array_reads_its_number_where_it_runs(self):
        setting = "train.seed=${env:SLURM_ARRAY_TASK_ID}"
        script = self.submit("--print", "--set", "launch.array=0-3", "--set", setting).stdout
        self.assertIn(f"--set '{setting}'", script)
        self.assertIn(f"run_dir={self.folder}/runs/tiny/$SLURM_ARRAY_TASK_ID\n", script)

    def test_several_tasks_that_mpi_does_not_know_of_are_refused(self):
        lonely = self.command("train", self.experiment,
                              env=environment(SLURM_JOB_ID=1, SLURM_STEP_ID=0, SLURM_STEP_NUM_TASKS=2))
        self.assertEqual(lonely.returncode, 2)
        self.assertIn("srun started 2 tasks without PMIx", lonely.stderr)

    def test_in_a_job_but_not_a_step_it_is_one_rank_and_says_so(self):
        alone = self.command("train", self.experiment, "--set", "train.max_steps=2",
                             env=environment(SLURM_JOB_ID=12, SLURM_NTASKS=8, SLURM_JOB_NUM_NODES=2))
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assertIn("in job 12 of Slurm (2 hosts), but not started by srun or mpirun: a run of one rank", alone.stderr)
        self.assertIn("1 rank", alone.stdout)

    def test_recipes_are_whole_shell_and_yaml(self):
        recipes = pathlib.Path(__file__).resolve().parents[2] / "launchers" / "recipes"
        for script in recipes.glob("*.sh"):
            self.assertEqual(subprocess.run(["bash", "-n", script]).returncode, 0, script)
        printed = self.submit("--print", "--site", recipes / "site.yaml").stdout
        self.assertIn("#SBATCH --gpus-per-node=4\n", printed)

    def test_several_hosts_that_nobody_names_are_refused(self):
        refused = self.command("launch", self.experiment, "--set", "launch.nodes=2")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("launch.nodes: 2 hosts, and it is not known which", refused.stderr)


class Script(SubmitCase):
    """The script itself, run as slurmd runs it."""

    def setUp(self):
        super().setUp()
        self.script = self.folder / "job.sh"
        self.script.write_text(self.submit("--print").stdout)
        self.run_dir = self.folder / "runs" / "tiny"

    def job_environment(self, outcome, restart=0, **changes):
        return self.with_stand_ins(**{"SLURM_JOB_ID": 42, "SLURM_JOB_NODELIST": "node1", "SLURM_RESTART_COUNT": restart,
                                      "OUTCOME": outcome, **changes})

    def run_script(self, outcome, **changes):
        return subprocess.run(["bash", self.script], env=self.job_environment(outcome, **changes), cwd=self.folder,
                              capture_output=True, text=True, timeout=60)

    def check(self, outcome, status, requeued, **changes):
        completed = self.run_script(outcome, **changes)
        self.assertEqual(completed.returncode, status, completed.stdout + completed.stderr)
        self.assertEqual(self.called("scontrol"), requeued, completed.stdout)
        return completed.stdout

    def test_a_run_that_is_done_ends_the_job(self):
        self.check("status finished 50 0", 0, None)
        step = self.called("srun").splitlines()
        self.assertEqual(step[:4], ["--nodes=1", "--ntasks=2", "--ntasks-per-node=2", "--mpi=pmix"])
        self.assertEqual(step[-2:], ["--run-dir", str(self.run_dir)])

    def test_a_run_that_was_stopped_or_lost_a_peer_goes_back_into_the_queue(self):
        self.check("status stopped 10 75; exit 75", 75, "requeue 42")
        self.check("status failed 20 6; exit 6", 6, "requeue 42", restart=1)
        self.assertEqual(self.called("srun").splitlines()[-2:], ["--resume", "auto"])

    def test_what_would_only_happen_again_ends_the_job(self):
        for status in (1, 2, 3, 4, 5, 7, 8):
            self.check(f"status failed {10 * status} {status}; exit 137", status, None)

    def test_a_crash_is_tried_again_while_steps_are_gained(self):
        crash = "status failed 20 1; sed -i 's/\"exit_status\": 1/&,\\n  \"signal\": \"SIGBUS\"/' $run_dir/status.json; exit 1"
        self.check(crash, 1, "requeue 42")
        self.assertIn("no step was gained", self.check(crash, 1, None, restart=1))

    def test_a_start_that_gained_no_step_is_the_last(self):
        self.check("status failed 20 6; exit 6", 6, "requeue 42")
        said = self.check("status failed 20 6; exit 6", 6, None, restart=1)
        self.assertIn("no step was gained since step 20", said)
        self.check("ln -sfn step-00000030 $run_dir/checkpoints/latest; status failed 30 6; exit 6", 6, "requeue 42", restart=2)
        self.check("status failed 25 6; exit 6", 6, None, restart=3)

    def test_a_save_is_a_gain_though_the_start_before_came_further(self):
        self.check("ln -sfn step-00000050 $run_dir/checkpoints/latest; status failed 90 6; exit 6", 6, "requeue 42")
        self.check("ln -sfn step-00000070 $run_dir/checkpoints/latest; status stopped 70 75; exit 75", 75, "requeue 42", restart=1)
        self.check("status failed 80 6; exit 6", 6, "requeue 42", restart=2)
        self.check("status failed 75 6; exit 6", 6, None, restart=3)

    def test_death_by_a_signal_gets_into_the_status(self):
        outcome = "ln -sfn step-00000010 $run_dir/checkpoints/latest; status running 0 null; exit 137"
        said = self.check(outcome, 6, "requeue 42")
        self.assertIn("all ranks ended without a report, srun with status 137", said)
        text = (self.run_dir / "status.json").read_text()
        for words in ('"state": "failed"', '"step": 10', '"exit_status": 6'):
            self.assertIn(words, text)

    def test_a_run_that_does_not_begin_ends_with_its_own_status(self):
        self.check("status stopped 10 75; exit 75", 75, "requeue 42")
        said = self.check("exit 2", 2, None, restart=1)
        self.assertIn("the run did not begin", said)

    def test_a_signal_before_the_run_begins_is_a_stop(self):
        said = self.check("kill -TERM $PPID; sleep 10; exit 1", 75, None)
        self.assertIn("stopped before the run began", said)

    def test_fresh_holds_for_the_first_start_only(self):
        self.script.write_text(self.submit("--print", "--fresh").stdout)
        self.check("status stopped 90 75; exit 75", 75, "requeue 42")
        self.check("status stopped 10 75; exit 75", 75, "requeue 42")  # a new job: from step 0
        self.assertEqual(self.called("srun").splitlines()[-1], "--fresh")
        self.check("status stopped 20 75; exit 75", 75, "requeue 42", restart=1)
        self.assertEqual(self.called("srun").splitlines()[-2:], ["--resume", "auto"])

    def test_fresh_holds_until_a_run_has_begun(self):
        self.check("status stopped 90 75; exit 75", 75, "requeue 41", SLURM_JOB_ID=41)
        self.script.write_text(self.submit("--print", "--fresh").stdout)
        self.check("exit 1", 1, None)  # as when a host dies before there is a status
        self.check("status stopped 10 75; exit 75", 75, "requeue 42", restart=1)
        self.assertEqual(self.called("srun").splitlines()[-1], "--fresh")
        self.check("status stopped 20 75; exit 75", 75, "requeue 42", restart=2)
        self.assertEqual(self.called("srun").splitlines()[-2:], ["--resume", "auto"])

    def test_a_checkpoint_to_begin_from_is_named_in_every_start(self):
        """The run may die before it has a checkpoint of its own."""
        self.script.write_text(self.submit("--print", "--resume", "other/checkpoints/latest").stdout)
        for restart in (0, 1):
            self.check(f"status stopped 1{restart} 75; exit 75", 75, "requeue 42", restart=restart)
            self.assertEqual(self.called("srun").splitlines()[-2:], ["--resume", str(self.folder / "other/checkpoints/latest")])

    def test_a_signal_before_the_ranks_are_started_is_not_forgotten(self):
        (self.folder / "here.yaml").write_text("launch: {setup: ['touch $STAND_INS/ready', 'sleep 1']}\n")
        self.script.write_text(self.submit("--print", "--site", "here.yaml").stdout)
        job = subprocess.Popen(["bash", self.script], env=self.job_environment("status finished 50 0"), cwd=self.folder,
                               stdout=subprocess.PIPE, text=True)
        while not (self.stand_ins / "ready").exists():
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        out = job.communicate(timeout=30)[0]
        self.assertEqual(job.returncode, 75, out)
        self.assertIn("the ranks were not started", out)
        self.assertIsNone(self.called("srun"))

    def test_a_line_that_makes_the_shell_end_at_errors_changes_nothing_below(self):
        (self.folder / "here.yaml").write_text("launch: {setup: ['set -euo pipefail']}\n")
        self.script.write_text(self.submit("--print", "--site", "here.yaml").stdout)
        self.check("status stopped 20 75; exit 75", 75, "requeue 42")

    def test_modules_that_cannot_be_loaded_end_the_job(self):
        (self.folder / "here.yaml").write_text("launch: {modules: [openmpi/9]}\n")
        self.script.write_text("module() { return 1; }\n" + self.submit("--print", "--site", "here.yaml").stdout)
        said = self.check("status finished 50 0", 2, None)
        self.assertIn("module load openmpi/9 failed", said)
        self.assertIsNone(self.called("srun"))

    def test_a_task_of_an_array_is_requeued_alone(self):
        self.script.write_text(self.submit("--print", "--set", "launch.array=0-3").stdout)
        self.check("status stopped 10 75; exit 75", 75, "requeue 40_3", SLURM_ARRAY_JOB_ID=40, SLURM_ARRAY_TASK_ID=3)
        self.assertTrue((self.run_dir / "3" / "status.json").exists())

    def test_where_requeueing_is_off_it_says_how_to_go_on(self):
        said = self.check("status stopped 10 75; exit 75", 75, "requeue 42", SCONTROL_STATUS=1)
        self.assertIn("the same triga submit goes on", said)

    def test_a_job_that_slurm_has_ended_is_left_alone(self):
        for state in ("CANCELLED", "PENDING", "PREEMPTED"):
            said = self.check("status stopped 10 75; exit 75", 75, None, JOB_STATE=state)
            self.assertIn(f"Slurm has ended the job ({state})", said)
            (self.run_dir / "status.json").unlink()
        self.check("status stopped 10 75; exit 75", 75, "requeue 42", JOB_STATE="TIMEOUT")

    def test_ranks_hear_how_long_slurm_waits_before_it_kills(self):
        outcome = "echo $TRIGA_GRACE_SECONDS $TRIGA_KILL_WAIT_SECONDS >$STAND_INS/times.called; status finished 50 0"
        self.check(outcome, 0, None)
        self.assertEqual(self.called("times"), "120 45")

    def test_signals_reach_the_step_as_usr1(self):
        outcome = "trap 'status stopped 10 75; exit 75' USR1; touch $STAND_INS/ready; while :; do sleep 0.1; done"
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR2):
            (self.stand_ins / "ready").unlink(missing_ok=True)
            (self.run_dir / "status.json").unlink(missing_ok=True)
            job = subprocess.Popen(["bash", self.script], env=self.job_environment(outcome), cwd=self.folder,
                                   stdout=subprocess.PIPE, text=True)
            while not (self.stand_ins / "ready").exists():
                time.sleep(0.05)
            job.send_signal(number)
            out = job.communicate(timeout=30)[0]
            self.assertEqual(job.returncode, 75, out)
            self.assertIn(f"got {number.name}", out)
            self.assertEqual(self.called("scontrol"), "requeue 42")


if __name__ == "__main__":
    unittest.main()
