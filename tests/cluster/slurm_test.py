"""Jobs of a real Slurm over two nodes: submitted, stopped in every way that Slurm has, requeued, cancelled. Needs root."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from slurm_cluster import NODES, SlurmCluster, wait_until
from triga_runner import BUILD, TRIGA, Run, TrigaTest, environment, state_hash

# On two ranks of one core; how many steps it has is measured, so that Slurm asks it at least once to save before a limit of a minute.
LONG = {"train.max_steps": 0, "log.every_steps": 20, "eval.every_steps": 0, "checkpoint.every_steps": 100}
LONG_SECONDS = 60
SHORT = {"train.max_steps": 20, "log.every_steps": 5, "eval.every_steps": 10, "checkpoint.every_steps": 10}
TWO_NODES = {"launch.nodes": 2, "launch.ranks_per_node": 1, "launch.cpus_per_rank": 1, "launch.memory": "500M"}


def settings(*mappings):
    return [word for mapping in mappings for key, value in mapping.items() for word in ("--set", f"{key}={value}")]


class SlurmTest(TrigaTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise RuntimeError("starting a Slurm needs root: sudo ./dev test -L cluster")
        if str(BUILD).startswith("/tmp/"):
            raise RuntimeError(f"nodes have a /tmp of their own and would not see {BUILD}")
        cls.addClassCleanup(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = "/var/tmp"  # that nodes share
        cls.cluster = cls.enterClassContext(SlurmCluster())

    def setUp(self):
        super().setUp()
        if not LONG["train.max_steps"]:
            steps = 100
            done = self.srun("--mpi=pmix", TRIGA, "train", self.experiment, "--run-dir", "rate",
                             *settings(LONG, {"train.max_steps": steps}))
            self.assertEqual(done.returncode, 0, done.stderr)
            times = sorted(Run(done, self.folder / "rate").column("step_seconds").values())
            LONG["train.max_steps"] = max(400, int(LONG_SECONDS / times[len(times) // 2]) // 100 * 100)
            print(f"the long run has {LONG['train.max_steps']} steps", flush=True)

    def srun(self, *line):
        return subprocess.run(["srun", "-N2", "-n2", *map(str, line)], cwd=self.folder, env=self.environment(), capture_output=True,
                              text=True, timeout=300)

    def tearDown(self):
        self.cluster.run("scancel", "--me", check=False)
        self.wait_until_nodes_are_empty()

    def environment(self, **changes):
        return environment(OMP_NUM_THREADS=1, XDG_CONFIG_HOME=self.folder, **self.cluster.environment(), **changes)

    def submit(self, directory, *mappings, arguments=()):
        """Returns the number of the job."""
        done = self.command("submit", self.experiment, "--run-dir", self.folder / directory, *settings(*mappings), *arguments,
                            env=self.environment())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return int(re.search(r"job (\d+) is submitted", done.stdout)[1])

    def log(self, directory, job):
        return (self.folder / f"{directory}-{job}.log").read_text()

    def wait_for_end(self, directory, job, timeout=900):
        """Of a job that ends well, however often it was requeued."""
        self.cluster.wait_for_state(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", timeout=timeout)
        run = Run(subprocess.CompletedProcess([], 0, "", ""), self.folder / directory)
        self.assertEqual(run.status_json()["state"], "finished", self.log(directory, job))
        self.assertEqual(self.cluster.job(job)["JobState"], "COMPLETED", self.log(directory, job))
        return run

    def wait_for_step(self, directory, step, timeout=300):
        """Until a checkpoint of so many steps is there."""
        latest = self.folder / directory / "checkpoints" / "latest"
        wait_until(f"{latest} is of step {step}",
                   lambda: latest.is_symlink() and int(os.readlink(latest).split("-")[-1]) >= step, timeout)

    def wait_until_nodes_are_empty(self):
        for node in NODES:
            wait_until(f"{node} runs nothing", lambda node=node: not self.left_on(node), timeout=60)
            wait_until(f"{node} is idle", lambda node=node: self.cluster.run("sinfo", "-h", "-n", node, "-o", "%t").stdout.strip() == "idle")

    def left_on(self, node):
        return self.cluster.programs_on(node) + self.cluster.files_in(node, "/dev/shm") + self.cluster.files_in(node, "/tmp")

    def ranks_on(self, node):
        return [line for line in self.cluster.programs_on(node) if line.startswith(f"{TRIGA.resolve()} train")]

    def uninterrupted(self):
        """The hash of what the long run must come to, from a job that nobody disturbs."""
        if not hasattr(SlurmTest, "expected"):
            job = self.submit("straight", LONG, TWO_NODES, {"launch.time": 20})
            SlurmTest.expected = state_hash(self.wait_for_end("straight", job).directory)
        return SlurmTest.expected

    def test_a_job_trains_on_two_nodes(self):
        directory = "my run 100%"  # what sbatch, srun and bash each have their own mind of
        job = self.submit(directory, SHORT, TWO_NODES, {"launch.setup": "['echo the site was here']"})
        run = self.wait_for_end(directory, job)
        log = self.log(directory, job)
        self.assertIn("the site was here", log)
        self.assertIn("2 ranks", log)
        self.assertIn("on node[1-2]", log)
        self.assertEqual(sorted(path.name for path in (run.directory / "log").iterdir()), ["rank-0.log", "rank-1.log"])
        alone = self.launch(2, "here", *settings(SHORT))
        self.assertEqual(state_hash(run.directory), state_hash(alone.directory), "two nodes, or two ranks of this host")
        job = self.submit("again", SHORT, TWO_NODES)
        self.wait_for_end("again", job)
        done = self.command("submit", self.experiment, "--run-dir", self.folder / "again", *settings(SHORT, TWO_NODES),
                            env=self.environment())
        self.assertIn("finished already", done.stdout)

    def test_two_requeues_lose_nothing(self):
        expected = self.uninterrupted()
        job = self.submit("requeued", LONG, TWO_NODES, {"launch.time": 20})
        for step in (100, LONG["train.max_steps"] // 2):
            self.wait_for_step("requeued", step)
            self.cluster.run("scontrol", "requeue", job)
            self.cluster.wait_for_state(job, "RUNNING")
        run = self.wait_for_end("requeued", job)
        log = self.log("requeued", job)
        self.assertIn("start 3", log)
        self.assertEqual(log.count("stopped on a signal at step"), 2, "SIGTERM of a requeue leaves time to save")
        self.assertEqual(log.count("Slurm has ended the job"), 2)
        self.assertNotIn("back into the queue", log)
        self.assertEqual(state_hash(run.directory), expected)

    def test_the_time_limit_loses_nothing(self):
        expected = self.uninterrupted()
        limits = {"launch.time": 1, "launch.save_before_seconds": 50}
        job = self.submit("limited", LONG, TWO_NODES, limits)
        run = self.wait_for_end("limited", job)
        log = self.log("limited", job)
        self.assertGreaterEqual(log.count("got SIGUSR1"), 2, log)
        self.assertIn("start 3", log)
        self.assertEqual(log.count("the job goes back into the queue"), log.count("stopped on a signal at step"))
        self.assertNotIn("DUE TO TIME LIMIT", log)
        self.assertEqual(state_hash(run.directory), expected)

    def test_a_killed_rank_ends_the_step_and_the_job_starts_again(self):
        expected = self.uninterrupted()
        job = self.submit("killed", LONG, TWO_NODES, {"launch.time": 20})
        self.wait_for_step("killed", 100)
        self.assertIn(b"TRIGA_KILL_WAIT_SECONDS=10", (self.rank_on(NODES[1]) / "environ").read_bytes().split(b"\0"),
                      "KillWait of the cluster")
        self.kill_rank_on(NODES[1])
        wait_until("the job's script has said what became of the run",
                   lambda: "goes back into the queue" in self.log("killed", job), timeout=60)
        self.assertIn("all ranks ended without a report", self.log("killed", job))
        run = self.wait_for_end("killed", job)
        self.assertEqual(state_hash(run.directory), expected)

    def rank_on(self, node):
        """The one rank there: its folder in the node's /proc."""
        (rank,) = self.ranks_on(node)
        root = pathlib.Path(f"/proc/{self.cluster.first_process(node)}/root/proc")
        (number,) = (entry.name for entry in root.iterdir() if entry.name.isdigit()
                     and (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip() == rank)
        return root / number

    def kill_rank_on(self, node):
        rank = self.rank_on(node)
        self.assertIn("triga", (rank / "status").read_text())
        os.kill(self.number_here(node, int(rank.name)), signal.SIGKILL)

    def number_here(self, node, number):
        """The process that a node numbers so, as this machine numbers it."""
        namespace = os.readlink(f"/proc/{self.cluster.first_process(node)}/ns/pid")
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns" / "pid") == namespace:
                    numbers = re.search(r"^NSpid:\s*(.*)$", (entry / "status").read_text(), re.M)[1].split()
                    if int(numbers[-1]) == number:
                        return int(entry.name)
            except OSError:
                continue
        raise LookupError(f"{node} has no process {number}")

    def test_an_array_has_a_run_for_each_task(self):
        job = self.submit("sweep", SHORT, TWO_NODES, {"launch.nodes": 1, "launch.array": "3-4",
                                                      "train.seed": "${env:SLURM_ARRAY_TASK_ID}"})
        for task in (3, 4):
            wait_until(f"task {task} has ended", lambda task=task: (self.folder / "sweep" / str(task) / "status.json").exists()
                       and '"finished"' in (self.folder / "sweep" / str(task) / "status.json").read_text(), timeout=300)
            self.assertIn(f"seed: {task}\n", (self.folder / "sweep" / str(task) / "resolved.yaml").read_text())
            self.assertTrue((self.folder / f"sweep-{job}_{task}.log").exists())

    def test_scancel_leaves_nothing_behind_and_the_run_goes_on(self):
        job = self.submit("cancelled", LONG, TWO_NODES, {"launch.ranks_per_node": 2})
        self.wait_for_step("cancelled", 100)
        self.assertEqual([len(self.ranks_on(node)) for node in NODES], [2, 2])
        self.cluster.run("scancel", job)
        self.cluster.wait_for_state(job, "CANCELLED")
        self.wait_until_nodes_are_empty()
        status = Run(subprocess.CompletedProcess([], 0, "", ""), self.folder / "cancelled").status_json()
        self.assertEqual(status["state"], "stopped", self.log("cancelled", job))
        self.assertNotIn("back into the queue", self.log("cancelled", job))
        again = self.submit("cancelled", LONG, TWO_NODES, {"launch.ranks_per_node": 2})
        self.wait_for_step("cancelled", status["step"] + 1)
        self.assertIn(f"from step {status['step']}", self.log("cancelled", again))

    def test_srun_by_hand_is_the_same_run(self):
        for directory, layout in (("dp", {"parallel.dp": 2}), ("pp", {"parallel.pp": 2})):
            expected = state_hash(self.launch(2, f"{directory}-here", *settings(SHORT, layout)).directory)
            done = self.srun("--mpi=pmix", TRIGA, "train", self.experiment, "--run-dir", directory, *settings(SHORT, layout))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(state_hash(self.folder / directory), expected, directory)

    def test_doctor_looks_at_every_node(self):
        done = self.srun(TRIGA, "doctor", "--run-dir", self.folder / "runs")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        # The nodes share the disk of one machine, which does not look like a shared file system; nothing else is wrong.
        problems = [line for line in done.stdout.splitlines() if "PROBLEM" in line]
        self.assertEqual(len(problems), 2, done.stdout)
        for problem in problems:
            self.assertRegex(problem, "^run folder .* only this host sees it")
        self.assertIn("srun has pmix", done.stdout)

    def salloc(self, *line, meanwhile=lambda: None):
        """`meanwhile` is called again and again until it ends."""
        process = subprocess.Popen(["salloc", "-N2", "--ntasks-per-node=1", *map(str, line)], cwd=self.folder, env=self.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 300
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, err = process.communicate(timeout=0.05)
                    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
                self.assertLess(time.monotonic(), deadline, "it does not end")
                meanwhile()
        finally:
            process.kill()

    def hosts_of_ranks(self, directory):
        """Of those that train there now, by what each says of itself."""
        hosts = set()
        for record in (self.folder / directory / ".progress").glob("rank-*.json"):
            with contextlib.suppress(OSError, ValueError):  # it is being written, or has just ended
                hosts.add(json.loads(record.read_text())["host"])
        return hosts

    def test_a_shell_of_salloc_is_one_rank_and_launch_takes_the_whole_job(self):
        alone = self.salloc(TRIGA, "train", self.experiment, "--run-dir", "alone", *settings(SHORT))
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assertIn("(2 hosts: node[1-2]), but not started by srun or mpirun: a run of one rank", alone.stderr)
        self.assertIn("1 rank on CPU", alone.stdout)
        hosts = set()
        launched = self.salloc(TRIGA, "launch", self.experiment, "--run-dir", "launched", *settings(SHORT, {"launch.ranks_per_node": 1}),
                               meanwhile=lambda: hosts.update(self.hosts_of_ranks("launched")))
        self.assertEqual(launched.returncode, 0, launched.stdout + launched.stderr)
        self.assertIn("2 ranks on 2 hosts", launched.stderr)
        self.assertEqual(state_hash(self.folder / "launched"), state_hash(self.launch(2, "here", *settings(SHORT)).directory))
        self.assertEqual(hosts, set(NODES))

    def test_tasks_without_pmix_are_refused(self):
        done = self.srun("--mpi=none", TRIGA, "train", self.experiment)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("srun started 2 tasks without PMIx", done.stderr)


if __name__ == "__main__":
    unittest.main()
