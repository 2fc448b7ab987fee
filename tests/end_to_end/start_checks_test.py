"""What is wrong with a set of ranks before they train is said once, in words, and all of them end in time. And `triga doctor`."""

import json
import pathlib
import shutil
import subprocess
import time
import unittest

from triga_runner import BUILD, MPIRUN, TRIGA, TrigaTest, environment, mpi_environment


class StartChecksTest(TrigaTest):
    def mpirun(self, *parts, env=None, status=2, timeout=60):
        """`parts`: of an mpirun line, each (number of ranks, environment, words of the command)."""
        line = [*MPIRUN, "--mca", "odls_base_sigkill_timeout", "3"]
        for i, (ranks, variables, words) in enumerate(parts):
            line += [":"] if i else []
            line += ["-n", ranks, *(word for name, value in variables.items() for word in ("-x", f"{name}={value}")), *words]
        started = time.monotonic()
        done = subprocess.run([str(word) for word in line], cwd=self.folder, env=env or mpi_environment(), capture_output=True, text=True,
                              timeout=timeout)
        self.assertLess(time.monotonic() - started, 45)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def train(self, *arguments):
        return [TRIGA, "train", self.experiment, "--set", "train.max_steps=2", *arguments]

    def test_ranks_with_another_experiment(self):
        said = self.mpirun((1, {}, self.train()), (2, {}, self.train("--set", "optimizer.learning_rate=0.5", "--set", "train.seed=9")))
        self.assertRegex(said, r"rank 1 on \S+ has another experiment than rank 0 on ")
        self.assertIn("optimizer.learning_rate: 0.003 on rank 0, 0.5 on rank 1", said)
        self.assertIn("train.seed: 3 on rank 0, 9 on rank 1", said)
        self.assertEqual(said.count("has another experiment"), 1, said)
        self.assertFalse((self.folder / "runs").exists())

    def test_ranks_with_another_plugin(self):
        plugins = self.folder / "plugins"
        shutil.copytree(BUILD / "lib" / "triga" / "plugins", plugins)
        with open(plugins / "transformer.so", "ab") as file:
            file.write(b"\0")  # another build of the same version
        text = self.experiment.read_text()
        for name, plugin in (("a", BUILD / "lib" / "triga" / "plugins" / "transformer.so"), ("b", plugins / "transformer.so")):
            (self.folder / name).mkdir()
            for file in ("text.txt", "held_out.txt"):
                shutil.copy(self.folder / file, self.folder / name)
            (self.folder / name / "tiny.yaml").write_text(text.replace("plugin: transformer", f"plugin: {plugin}"))
        said = self.mpirun(*((1, {}, [TRIGA, "train", self.folder / name / "tiny.yaml", "--run-dir", self.folder / "run"]) for name in "ab"))
        self.assertRegex(said, r"plugin transformer is not the same on all ranks:\n  0\.1\.0 \(content \w+\): rank 0 on \S+\n"
                               r"  0\.1\.0 \(content \w+\): rank 1 on ")

    def test_worlds_that_should_have_been_one(self):
        """A launcher says two, MPI brings one: as with an mpirun of another installation."""
        env = environment(OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_RANK=0, OMPI_COMM_WORLD_LOCAL_RANK=0, OMPI_COMM_WORLD_LOCAL_SIZE=2)
        done = self.command("train", self.experiment, env=env)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("Open MPI started 2 processes, and MPI brought 1 of them together: each would train alone", done.stderr)

    def test_the_launcher_of_another_mpi(self):
        for command in ("train", "launch", "submit"):
            done = self.command(command, self.experiment, env=environment(PMI_SIZE=4, PMI_RANK=1))
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn("the launcher of another MPI started 4 processes (PMI_SIZE is set", done.stderr)

    def test_speeds_are_measured_when_asked_for(self):
        run = self.launch(2, "run", "--set", "train.max_steps=2", "--set", "log.measure_links=always")
        self.assertRegex(run.out, r"\[start\] all-reduce: [\d.]+ [GM]B/s inside the host")
        self.assertNotIn("all-reduce:", self.launch(2, "quiet", "--set", "train.max_steps=2").out)


class DoctorTest(TrigaTest):
    def test_a_table_and_the_same_as_json(self):
        done = self.command("doctor")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for text in ("Triga 0.1.0", "LibTorch", "transformer 0.1.0", "Open MPI", "of the same version", "run folder", "/dev/shm", "cores"):
            self.assertIn(text, done.stdout)
        self.assertNotIn("PROBLEM", done.stdout)
        told = json.loads(self.command("doctor", "--json").stdout)
        self.assertEqual(told["exit_status"], 0)
        self.assertEqual({finding["level"] for finding in told["findings"]} - {"ok", "warning"}, set())

    def test_what_an_experiment_asks_for(self):
        done = self.command("doctor", self.experiment, "--set", "train.device=cuda", "--set", "launch.nodes=2")
        text = " ".join(done.stdout.split())
        has_driver = pathlib.Path("/proc/driver/nvidia").exists()
        self.assertEqual("train.device is cuda, and this host has no NVIDIA driver" in text, not has_driver, text)
        if not has_driver:
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("4 ranks on 2 hosts, device cuda", text)

    def test_what_is_wrong_has_its_exit_status(self):
        broken = self.folder / "plugins"
        broken.mkdir()
        (broken / "torn.so").write_bytes(b"\x7fELF")
        done = self.command("doctor", env=environment(TRIGA_PLUGIN_PATH=broken))
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("torn.so", done.stdout)
        done = self.command("doctor", env=environment(TRIGA_PLUGIN_PATH="/nowhere/at/all"))
        self.assertIn("/nowhere/at/all is no folder", done.stdout)
        mpirun = self.folder / "bin" / "mpirun"
        mpirun.parent.mkdir()
        mpirun.write_text("#!/bin/sh\necho 'HYDRA build details: Version 4.0'\n")
        mpirun.chmod(0o755)
        done = self.command("doctor", env=environment(PATH=f"{mpirun.parent}:/usr/bin:/bin"))
        self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
        self.assertIn("is of another MPI", " ".join(done.stdout.split()))
        done = self.command("doctor", "--run-dir", "/proc/sys")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        done = self.command("doctor", "no_such.yaml")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
