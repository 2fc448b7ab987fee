#!/usr/bin/env python3
"""Runs comm_victim under mpirun with one fault in the middle of each operation, and judges what the other ranks did:

- each ended with status 6 within bounded time, and its first line says who (rank, host), where (step, operation) and what;
- afterwards no process and no file in /dev/shm is left.

usage: comm_faults.py --mpirun PATH --victim PATH --fault kill|segv|exit|stop|throw [--operation NAME] [--ranks N]
                      [--memory own|shared]
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

# name in the victim program -> what the messages call the operation; whether its payload goes beyond the opening message.
# Those of the second table go over shared memory: the step of it before which the fault strikes (1: it never comes to the
# first meeting; 2: all have met, and then it reduces or copies; 3: it never comes to the last meeting).
OPERATIONS = {
    "all_reduce": ('all_reduce "victim"', True),
    "reduce_scatter": ('reduce_scatter "victim"', True),
    "all_gather": ('all_gather "victim"', True),
    "broadcast": ('broadcast "victim"', True),
    "send_recv": ('send "victim" to rank', True),
    "barrier": ('barrier "victim"', False),
    "all_reduce_values": ('all_reduce "victim"', False),
    "all_gather_text": ('all_gather_text "victim"', True),
    "broadcast_text": ('broadcast_text "victim"', False),
    "split": ('split "victim"', False),
    "allocate": ('allocate "buffer"', False),
    "finish": ('barrier "end of the run"', False),
}
IN_SHARED_MEMORY = {
    "all_reduce_in_a_buffer": ('all_reduce "victim"', 2),
    "reduce_scatter_in_a_buffer": ('reduce_scatter "victim"', 3),
    "all_gather_in_a_buffer": ('all_gather "victim"', 2),
    "barrier": ('barrier "victim"', 1),
    "all_reduce_values": ('all_reduce "victim"', 1),
    "split": ('split "victim"', 1),
    "finish": ('barrier "end of the run"', 1),
}
VICTIM = 1
STEP = 17
# Time of the deadline where only it can tell; in all other cases it would be much too late.
SHORT_DEADLINE, LONG_DEADLINE = 2.0, 60.0
PATIENCE = 15.0  # for a loaded machine; without load it is 0.1 s after the fault or after the deadline
# Until mpirun sends SIGTERM and then SIGKILL to survivors; it also lingers twice this long after the last rank ended.
SIGKILL_TIMEOUT = 4
AT_ONCE = 3  # runs, not counting mpiruns that linger


def has_ended(pid, seconds=5):
    """Is the process gone, or a zombie that nobody has asked for its status yet? mpirun leaves some to process 1."""
    for _ in range(seconds * 20):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


class Run:
    """One run of comm_victim."""

    def __init__(self, arguments, fault, operation, ranks, memory):
        self.fault, self.operation, self.ranks, self.memory = fault, operation, ranks, memory
        self.name = f"{fault} in {operation} on {ranks} ranks, {memory} memory"
        self.folder = tempfile.mkdtemp(prefix="triga-faults-")
        self.deadline = SHORT_DEADLINE if fault == "stop" or operation == "start" else LONG_DEADLINE
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")
        self.output = open(f"{self.folder}/output", "w+")
        self.process = subprocess.Popen(
            [arguments.mpirun, "--oversubscribe", "--bind-to", "none", "--mca", "odls_base_sigkill_timeout",
             str(SIGKILL_TIMEOUT), "-n", str(ranks), arguments.victim, f"--operation={operation}", f"--fault={fault}",
             f"--victim={VICTIM}", f"--at={self.message()}", f"--memory={memory}", f"--deadline_ms={int(self.deadline * 1000)}",
             f"--reports={self.folder}"],
            stdout=self.output, stderr=subprocess.STDOUT, env=environment)
        self.began = time.monotonic()

    def message(self):
        """The victim's message before which the fault strikes: some are sent, some not."""
        if self.memory == "shared":
            return IN_SHARED_MEMORY[self.operation][1]
        openings = 2 * (self.ranks - 1)
        if self.operation == "start":
            return 2
        if self.operation == "send_recv":
            return 4  # what it receives itself, after it sent its part
        return openings + self.ranks if OPERATIONS[self.operation][1] else openings * 3 // 4 + 1

    def report(self, rank):
        try:
            with open(f"{self.folder}/rank-{rank}") as file:
                return dict(line.rstrip("\n").split(" ", 1) for line in file if re.match(r"(pid|shared|fault|says|status|end) ", line))
        except FileNotFoundError:
            return {}

    def survivors_ended(self):
        """Also when they never will."""
        survivors = [rank for rank in range(self.ranks) if rank != VICTIM]
        return self.process.poll() is not None or all("end" in self.report(rank) for rank in survivors)

    def problems(self):
        """What is wrong; after the end of mpirun. Each a line."""
        reports = [self.report(rank) for rank in range(self.ranks)]
        if "fault" not in reports[VICTIM]:
            yield "the fault did not strike"
            return
        for rank, report in enumerate(reports):
            if rank == VICTIM:
                continue
            if report.get("status") != "6":
                yield f"rank {rank} ended with status {report.get('status')}, not 6"
                continue
            seconds = float(report["end"]) - float(reports[VICTIM]["fault"])
            bound = PATIENCE + (self.deadline if self.deadline == SHORT_DEADLINE else 0)
            if seconds > bound:
                yield f"rank {rank} ended {seconds:.1f} s after the fault"
            for words in self.expected_words():
                if words not in report["says"]:
                    yield f"rank {rank} does not say '{words}': {report['says']}"
        for rank, report in enumerate(reports):
            if not has_ended(report["pid"]):
                yield f"rank {rank} is still there as process {report['pid']}"
            for file in report["shared"].split():
                if os.path.exists(file):
                    yield f"{file} is left behind"

    def expected_words(self):
        if self.operation == "start":
            return [f"missing: rank {VICTIM} "]
        victim = f"rank {VICTIM} on host {socket.gethostname()}"
        table = IN_SHARED_MEMORY if self.memory == "shared" else OPERATIONS
        where = f"step {STEP}, in {table[self.operation][0]}"
        if self.fault == "stop":
            return [f"{victim} (stopped by a signal): {where}", f"not done at step {STEP} within {SHORT_DEADLINE:g} s"]
        if self.fault == "throw":
            return [f"{victim} failed at {where}", "shard-3.bin is truncated"]
        return [f"{victim} died without a word", where]

    def judge(self):
        self.process.wait()
        found = list(self.problems())
        print(f"{'FAILED' if found else 'ok'}: {self.name}", flush=True)
        if found:
            self.output.seek(0)
            print("  " + "\n  ".join(found) + "\n--- output:\n" + self.output.read(), flush=True)
        self.output.close()
        shutil.rmtree(self.folder)
        return not found


def cases(arguments):
    """Death: every operation on 2 and on 4 ranks; the other faults: every operation, on 2 and 4 in turn."""
    if arguments.operation:
        return [(arguments.operation, arguments.ranks, arguments.memory)]
    chosen = []
    for index, (operation, memory) in enumerate([(o, "own") for o in OPERATIONS] + [(o, "shared") for o in IN_SHARED_MEMORY]):
        chosen += [(operation, ranks, memory) for ranks in (2, 4)
                   if arguments.fault == "kill" or (index % 2 == 0) == (ranks == 2)]
    if arguments.fault in ("kill", "stop"):
        chosen.append(("start", 3, "own"))
    return chosen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mpirun", required=True)
    parser.add_argument("--victim", required=True)
    parser.add_argument("--fault", required=True, choices=["kill", "segv", "exit", "stop", "throw"])
    parser.add_argument("--operation", choices=[*OPERATIONS, *IN_SHARED_MEMORY, "start"])
    parser.add_argument("--memory", choices=["own", "shared"], default="own")
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()

    waiting, running, lingering = cases(arguments), [], []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.append(Run(arguments, arguments.fault, *waiting.pop(0)))
        lingering += [run for run in running if run.survivors_ended()]
        running = [run for run in running if run not in lingering]
        time.sleep(0.02)
    passed = [run.judge() for run in lingering]
    sys.exit(0 if all(passed) else 1)


main()
