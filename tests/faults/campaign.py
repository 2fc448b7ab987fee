#!/usr/bin/env python3
"""Fault campaign: runs that are struck at random instants, at least a third of them inside a save, and what becomes of them.

A trial is a run of a small GPT in some layout (1 to 4 ranks; DP with and without ZeRO, PP, DP x PP) on a file system of its
own; of a larger one, whose files pass by the page cache, on the disk of the temporary folder where that is ext4 or XFS. Every fifth
run watches for spikes of the loss, of which there are none. It is struck one to three times; after each strike it must end in bounded
time, with a status that fits, leaving no process behind; the same command starts it again. At its end it must have the weights, the
optimizer state and the losses to tell a spike by of the run that nothing happened to, to the bit: else it counts as a loss. The last
line printed counts strikes, only those that found something to strike, and losses. A full campaign fails as well when a kind of strike
did not come, or fewer than a third fell inside a save.

  campaign.py [--strikes N] [--seed N] [--trial N]...   needs a mount namespace: root, or user namespaces
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable, NamedTuple

from triga_runner import EXPERIMENT, TRIGA, environment, make_text, ranks_of, state_hash

STEPS = 48
SETTINGS = (f"train.max_steps={STEPS}", f"learning_rate_schedule.decay_steps={STEPS}", "checkpoint.every_steps=3", "eval.every_steps=16",
            "parallel.communication_timeout=4")
LAYOUTS = {
    "1 rank": (1, ()),
    "dp 2": (2, ()),
    "dp 3, zero 1": (3, ("parallel.zero=1",)),
    "dp 4, zero 2": (4, ("parallel.zero=2", "checkpoint.asynchronous=false")),
    "pp 2": (2, ("parallel.pp=2",)),
    "pp 2, zb_h1": (2, ("parallel.pp=2", "parallel.pipeline_schedule=zb_h1", "checkpoint.asynchronous=false")),
    "dp 2 x pp 2": (4, ("parallel.pp=2", "parallel.zero=1")),
}
# Each rank writes 6 MB of optimizer states: from 4 MB on a file goes to the disk directly.
LARGE_FILES = "dp 2, large files"
LARGE_LAYOUT = (2, ("model.config.hidden_size=256", "checkpoint.every_steps=8"))
# No loss is so high; what it is compared with goes through the checkpoints.
SPIKES = "train.spikes={window: 8, z_score: 1000, max_in_a_row: 3}"
SPIKES_STATE = ("losses", "spikes_in_a_row", "rollbacks", "left_out_steps", "good_steps", "skipped_steps")
DEADLINE = 90  # seconds from a strike that ends a run to its end; the run's own is 4, that of its start 60, and the machine may be busy
DISK = "32m"
FULL = 120  # strikes of a full campaign


class Lost(Exception):
    """The promise is broken: what happened instead."""


class Setup(NamedTuple):
    """What a trial runs."""

    layout: str
    has_spikes: bool

    def __str__(self):
        return self.layout + (", spikes" if self.has_spikes else "")


@dataclass
class Training:
    """`triga launch` of a trial, running."""

    process: subprocess.Popen
    directory: pathlib.Path
    random: random.Random
    ranks: int
    old_drafts: frozenset
    undo: list = field(default_factory=list)
    then: Callable[[], bool] = lambda: True  # the rest of a strike, once the run has ended. False: it found nothing to strike
    note: str = ""  # what it struck, for people

    def drafts(self):
        """Checkpoints that are being written; not what an earlier start left."""
        return drafts_of(self.directory) - self.old_drafts

    def kill(self, pid, number):
        """False: it had ended."""
        try:
            os.kill(pid, number)
        except (ProcessLookupError, TypeError):
            return False
        return True

    def some_rank(self):
        """The process of a rank. One rank alone is the launcher's process."""
        if self.ranks == 1:
            return self.process.pid
        ranks = ranks_of(self.directory)
        return ranks[self.random.choice(sorted(ranks))] if ranks else None


def checkpoints_of(directory):
    """Of a run's folder, oldest first; not what an interrupted save left."""
    return sorted(path for path in (directory / "checkpoints").glob("step-*") if not path.suffix)


def identity_of(checkpoint):
    """Differs where the same step was saved again. None: there is no such checkpoint any more."""
    with contextlib.suppress(OSError):
        status = checkpoint.stat()
        return f"{status.st_ino}-{status.st_mtime_ns}"


def whole_checkpoints_of(directory):
    """Those that no strike has damaged, oldest first."""
    damaged = read(directory.parent / "damaged").split()
    found = [(path, identity_of(path)) for path in checkpoints_of(directory)]
    return [path for path, identity in found if identity and identity not in damaged]


def drafts_of(directory):
    return {path.name for path in (directory / "checkpoints").glob("*.tmp")}


def processes_of(directory):
    """Of a run: its launcher, mpirun and ranks."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(directory).encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def strike_kill(training):
    """kill -9 of a rank."""
    return training.kill(training.some_rank(), signal.SIGKILL)


def strike_host(training):
    """The host dies: every process of the run at once, also one that is just being started."""
    struck = False
    while pids := processes_of(training.directory):
        struck |= any([training.kill(pid, signal.SIGKILL) for pid in pids])
    return struck


def strike_stop(training):
    """A rank that answers no more. Alone, nobody notices: it goes on after a while."""
    pid = training.some_rank()
    struck = training.kill(pid, signal.SIGSTOP)
    if training.ranks == 1:
        time.sleep(6)
        training.kill(pid, signal.SIGCONT)
    return struck


def strike_term(training):
    """A stop signal to the launcher."""
    return training.kill(training.process.pid, training.random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)))


def strike_term_rank(training):
    """A stop signal to one rank only."""
    return training.kill(training.some_rank(), training.random.choice((signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)))


def strike_slow(training):
    """A rank that stands still again and again, for less than the deadline."""
    pid = training.some_rank()
    struck = False
    for _ in range(4):
        struck |= training.kill(pid, signal.SIGSTOP)
        time.sleep(training.random.uniform(0.1, 0.6))
        training.kill(pid, signal.SIGCONT)
        time.sleep(0.1)
    return struck


def strike_full_disk(training):
    """The file system is full, until the run has ended or for a second."""
    filler = training.directory.parent / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    if training.random.random() < 0.5:
        time.sleep(1)
        filler.unlink()
    else:
        training.undo.append(filler.unlink)
    return True


def strike_read_only(training):
    """The run's folder, or that of its checkpoints, is read-only from now on. Files that are open stay writable, as after a remount by an error."""
    place = training.directory / training.random.choice(("", "checkpoints"))
    if not place.is_dir():
        return False
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    # Refused while a file that was opened since is open for writing.
    for _ in range(100):
        remounted = subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], capture_output=True, text=True)
        if remounted.returncode == 0:
            break
        time.sleep(0.05)
    if remounted.returncode != 0:
        subprocess.run(["umount", "-l", str(place)], check=True)
        return False
    training.undo.append(lambda: subprocess.run(["umount", str(place)], check=True))
    return True


def strike_bytes(training):
    """The host dies, and of several whole checkpoints one has wrong bytes in one of its files: the newest, or an older one."""

    def flip():
        whole = whole_checkpoints_of(training.directory)
        if len(whole) < 2:
            return False
        is_older = training.random.random() < 1 / 3
        checkpoint = training.random.choice(whole[:-1]) if is_older else whole[-1]
        path = training.random.choice(sorted(path for path in checkpoint.rglob("*") if path.is_file()))
        content = bytearray(path.read_bytes())
        for bit in training.random.sample(range(8 * len(content)), training.random.randint(1, 3)):
            content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        damaged = training.directory.parent / "damaged"
        damaged.write_text(f"{read(damaged)} {identity_of(checkpoint)}")
        training.note = f" in {'an older' if is_older else 'the newest'} checkpoint"
        return True

    training.then = flip
    return strike_host(training)


# What strikes (False: there was nothing to strike any more), and the statuses that a run may end with after it: 0 where it came too late or does not end a run, 6 lost peers, 75 saved on a
# signal, 5 the last state could not be saved; a signal before the run has begun gives 128 and its number, or ends the process; kill -9 of the launcher: -9.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
ENDS_BY_SIGNAL = {0, 75, *(128 + number for number in STOP_SIGNALS), *(-number for number in STOP_SIGNALS)}
STRIKES = {
    "kill -9": (strike_kill, {0, 6, -9}),
    "host dies": (strike_host, {0, -9}),
    "SIGSTOP": (strike_stop, {0, 6}),
    "SIGTERM": (strike_term, ENDS_BY_SIGNAL),
    "SIGTERM to a rank": (strike_term_rank, ENDS_BY_SIGNAL | {6}),
    "slow rank": (strike_slow, {0}),
    "full disk": (strike_full_disk, {0, 5}),
    "read-only": (strike_read_only, {0, 5}),
    "wrong bytes": (strike_bytes, {0, -9}),
}
NEEDED = {"wrong bytes": 2}  # whole checkpoints that must be there


class Campaign:
    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed
        self.experiment = folder / "tiny.yaml"
        self.experiment.write_text(EXPERIMENT)
        make_text(folder / "text.txt")
        make_text(folder / "held_out.txt", num_documents=23, seed=2)
        self.expected = {}
        self.layouts = dict(LAYOUTS)
        if writes_directly(folder):
            self.layouts[LARGE_FILES] = LARGE_LAYOUT
        else:
            print(f"{folder} is on neither ext4 nor XFS: no trial with large files", flush=True)
        self.counts = collections.Counter()
        self.processes = []

    def start(self, setup, directory):
        ranks, settings = self.layouts[setup.layout]
        line = [str(TRIGA), "launch", str(self.experiment), "-n", str(ranks), "--run-dir", str(directory), "--progress", "lines"]
        for setting in (*SETTINGS, *settings, *((SPIKES,) if setup.has_spikes else ())):
            line += ["--set", setting]
        # Not a pipe: what a killed launcher leaves behind would keep it open.
        output = open(directory.parent / "output.txt", "ab")
        process = subprocess.Popen(line, cwd=self.folder, env=environment(), stdout=output, stderr=output, start_new_session=True)
        self.processes.append(process)
        return process

    def uninterrupted(self, setup):
        """(final state, seconds) of the run that nothing happens to."""
        if setup not in self.expected:
            place = self.folder / f"expected-{len(self.expected)}"
            place.mkdir()
            started = time.monotonic()
            if self.start(setup, place / "run").wait() != 0:
                raise SystemExit(f"the run that nothing happens to failed:\n{tail(place)}")
            self.expected[setup] = final_state(place / "run"), time.monotonic() - started
        return self.expected[setup]

    def wait_for_instant(self, training, duration, num_needed):
        """Some instant of the run, or inside one of its saves; so many whole checkpoints are there. True: a save was being written."""
        end = time.monotonic() + training.random.uniform(0.05, 0.7) * duration
        inside = training.random.random() < 0.7  # some saves are over before the strike: half are left
        while time.monotonic() < end and training.process.poll() is None:
            time.sleep(0.01)
        while training.process.poll() is None and len(whole_checkpoints_of(training.directory)) < num_needed:
            time.sleep(0.01)
        while inside and training.process.poll() is None and not training.drafts():
            time.sleep(0.0005)
        return bool(training.drafts())

    def strike(self, name, setup, directory, generator):
        function, allowed = STRIKES[name]
        before = self.look(directory)
        old_drafts = frozenset(drafts_of(directory))
        training = Training(self.start(setup, directory), directory, generator, self.layouts[setup.layout][0], old_drafts)
        inside = self.wait_for_instant(training, self.uninterrupted(setup)[1], NEEDED.get(name, 0))
        in_time = training.process.poll() is None
        struck = function(training) and in_time
        try:
            status = training.process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            raise Lost(f"did not end within {DEADLINE} s of the strike")
        self.wait_for_the_last_rank(directory)
        struck = struck and training.then()
        for undo in training.undo:
            undo()
        self.check_start(directory, before, name)
        if status not in allowed:
            raise Lost(f"ended with status {status}, not {sorted(allowed)}")
        self.counts["strikes"] += struck
        self.counts["inside a save"] += inside and struck
        self.counts[name] += struck
        self.counts[setup.layout] += struck
        moment = " (missed)" if not struck else " inside a save" if inside else ""
        return f"{name}{training.note}{moment} -> {status}"

    def look(self, directory):
        """(newest step that a start must go on from, where its output will begin)."""
        steps = [int(path.name[5:]) for path in whole_checkpoints_of(directory)]
        output = directory.parent / "output.txt"
        return steps[-1] if steps else 0, output.stat().st_size if output.exists() else 0

    def check_start(self, directory, before, name):
        """A start goes on from the newest checkpoint that is whole: nothing that was saved is done again."""
        newest, offset = before
        with open(directory.parent / "output.txt", "rb") as file:
            file.seek(offset)
            first = re.search(rb"^step +(\d+)/", file.read(), re.MULTILINE)
        if first and int(first.group(1)) <= newest:
            raise Lost(f"{name}: it began with step {int(first.group(1))}, although step {newest} was saved")

    def end_all(self, directory):
        """Whatever a lost trial left behind, which would disturb those after it."""
        for process in (process for process in self.processes if process.poll() is None):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in processes_of(directory):
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)
        self.processes.clear()

    def wait_for_the_last_rank(self, directory):
        end = time.monotonic() + 10
        while left := processes_of(directory):
            if time.monotonic() > end:
                self.end_all(directory)
                raise Lost(f"processes {sorted(left)} were left behind")
            time.sleep(0.05)

    def trial(self, number):
        """Prints what happened; False: a loss."""
        generator = random.Random(f"{self.seed} {number}")
        # Kinds of strikes in turn, so that none is left out; layouts and instants by chance.
        layout = generator.choice(sorted(self.layouts))
        names = [list(STRIKES)[number % len(STRIKES)]] + generator.choices(sorted(STRIKES), k=generator.randrange(3))
        if layout == LARGE_FILES and "full disk" in names:  # that of the machine
            layout = generator.choice(sorted(LAYOUTS))
        setup = Setup(layout, has_spikes=number % 5 == 4)
        expected, _ = self.uninterrupted(setup)
        place = self.folder / f"trial-{number}"
        place.mkdir()
        options = ["--bind", str(place)] if layout == LARGE_FILES else ["-t", "tmpfs", "-o", f"size={DISK}", "trial"]
        subprocess.run(["mount", *options, str(place)], check=True)
        happened = []
        try:
            for name in names:
                happened.append(name)
                happened[-1] = self.strike(name, setup, place / "run", generator)
            before = self.look(place / "run")
            status = self.start(setup, place / "run").wait(timeout=120)
            self.check_start(place / "run", before, "no strike")
            if status != 0:
                raise Lost(f"started again, it ended with status {status}")
            if final_state(place / "run") != expected:
                raise Lost("the final weights, optimizer state or losses are others than without a strike")
        except (Lost, subprocess.TimeoutExpired, FileNotFoundError) as loss:
            print(f"trial {number}: {setup}: {'; '.join(happened)}\n  LOST: {loss}\n{tail(place)}", flush=True)
            kept = self.folder / f"lost-{number}"
            shutil.copytree(place, kept, symlinks=True, ignore=shutil.ignore_patterns("filler"))
            print(f"  its folder: {kept}", flush=True)
            return False
        finally:
            self.end_all(place / "run")
            subprocess.run(["umount", "-R", "-l", str(place)], check=True)
            shutil.rmtree(place, ignore_errors=True)  # of large files
        print(f"trial {number}: {setup}: {'; '.join(happened)}; the same bits", flush=True)
        return True

    def shortcomings(self, is_full):
        """What strikes did not come as they should have, each a line. A dozen strikes cannot be of all kinds."""
        strikes, inside = self.counts["strikes"], self.counts["inside a save"]
        if inside < (strikes / 3 if is_full else min(1, strikes // 12)):
            yield f"only {inside} of {strikes} strikes fell inside a save"
        missing = [name for name in STRIKES if not self.counts[name]]
        if is_full and missing:
            yield f"never came: {', '.join(missing)}"
        if is_full and LARGE_FILES in self.layouts and not self.counts[LARGE_FILES]:
            yield "no strike hit a run with large files"


def writes_directly(folder):
    """Whether files of a checkpoint that are large pass by the page cache there."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True).stdout.strip()
    return kind in ("ext2/ext3", "xfs")


def final_state(directory):
    """Of a run: the hash of its weights and optimizer state, and what it tells spikes by."""
    state = json.loads((directory / "checkpoints" / "latest" / "training" / "state.json").read_text())
    return state_hash(directory), [state[name] for name in SPIKES_STATE]


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


def tail(place):
    text = read(place / "output.txt")
    return "    " + "\n    ".join(text.splitlines()[-40:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    full = os.environ.get("TRIGA_FAULTS") == "full"
    parser.add_argument("--strikes", type=int, default=FULL if full else 12, help="how many strikes at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trial", type=int, action="append", help="only this trial of the seed, again")
    arguments = parser.parse_args()
    if os.environ.get("TRIGA_MOUNTS") != "own":  # mounts of trials are seen by them alone, and go with them
        namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        os.execvpe(namespace[0], [*namespace, sys.executable, *sys.argv], {**os.environ, "TRIGA_MOUNTS": "own"})
    folder = pathlib.Path(tempfile.mkdtemp(prefix="triga-faults-"))
    campaign = Campaign(folder, arguments.seed)
    trials = losses = 0
    started = time.monotonic()
    while campaign.counts["strikes"] < arguments.strikes if not arguments.trial else trials < len(arguments.trial):
        number = arguments.trial[trials] if arguments.trial else trials
        losses += not campaign.trial(number)
        trials += 1
    kinds = ", ".join(f"{name} {campaign.counts[name]}" for name in STRIKES)
    print(f"{trials} trials in {time.monotonic() - started:.0f} s, {campaign.counts['strikes']} strikes "
          f"({campaign.counts['inside a save']} inside a save): {kinds}\nlosses: {losses}")
    if not losses:
        shutil.rmtree(folder, ignore_errors=True)
    shortcomings = [] if arguments.trial else list(campaign.shortcomings(arguments.strikes >= FULL))
    print(*shortcomings, sep="\n", end="\n" if shortcomings else "")
    return 1 if losses or shortcomings else 0


if __name__ == "__main__":
    sys.exit(main())
