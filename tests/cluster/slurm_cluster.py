"""A real Slurm of two nodes on this machine: munged, slurmctld and two slurmd. Needs root. Standard library only.

Each node has namespaces of its own: a host name, so that ranks see two hosts; processes, so that all of a node ends with
it; and mounts, with a /tmp and a /dev/shm of its own (PMIx's folders of two nodes would collide in one /tmp). What both
see, as on a cluster's shared file system, is all else.
"""

import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

NODES = ("node1", "node2")
CPUS_OF_NODE = 2

CONFIGURATION = """\
ClusterName=triga
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=100000
OverTimeLimit=0
KillWait=10
ReturnToService=2
SlurmdTimeout=300
MessageTimeout=60
RequeueExit=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
NodeName={nodes[0]} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory=4000 State=UNKNOWN
NodeName={nodes[1]} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=INFINITE State=UP
"""

# A node: the first process of its namespaces; with it all others end.
START_NODE = """\
hostname "$1" && mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && chmod 1777 /tmp /dev/shm || exit 1
exec slurmd -D -N "$1" -f "$2"
"""


def free_ports(count):
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(what, condition, timeout=60, pause=0.2):
    """Returns the first true value of `condition()`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s not yet: {what}")
        time.sleep(pause)


class SlurmCluster:
    """Started by `with`, and gone after it."""

    def __enter__(self):
        # Not below /tmp, which nodes do not share.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="triga-cluster-", dir="/var/tmp"))
        self.processes = []
        self.nodes = {}
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self.configuration = self.folder / "slurm.conf"
        self.configuration.write_text(CONFIGURATION.format(
            folder=self.folder, host=socket.gethostname(), ports=free_ports(3), nodes=NODES, cpus=CPUS_OF_NODE))
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        # A socket of its own: this machine may have a munged that serves others.
        munge = {"key-file": key, "socket": self.folder / "munge.socket", "pid-file": self.folder / "munged.pid",
                 "log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}
        self._spawn(["munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in munge.items())])
        wait_until("munged listens", (self.folder / "munge.socket").exists)
        self._spawn(["slurmctld", "-D", "-f", self.configuration])
        for node in NODES:
            self.nodes[node] = self._spawn(
                ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
                 "bash", "-c", START_NODE, "node", node, self.configuration])
        wait_until("both nodes are idle", lambda: self.run("sinfo", "-h", "-o", "%D %t", check=False).stdout.split() == ["2", "idle"])

    def _spawn(self, line):
        log = open(self.folder / f"daemon-{len(self.processes)}.out", "w")
        # Also when the test itself is killed, which then cleans nothing up.
        line = ["setpriv", "--pdeathsig", "KILL", "--", *line]
        process = subprocess.Popen([str(word) for word in line], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        log.close()
        self.processes.append(process)
        return process

    def __exit__(self, *_):
        # Nodes first: their first processes end with unshare (--kill-child), and with those all of a node. It ignores SIGTERM.
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL if process in self.nodes.values() else signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        return {"SLURM_CONF": str(self.configuration)}

    def run(self, *line, check=True, timeout=60, cwd=None):
        """A command of Slurm."""
        return subprocess.run([str(word) for word in line], env={**os.environ, **self.environment()}, cwd=cwd,
                              capture_output=True, text=True, timeout=timeout, check=check)

    def job(self, number):
        """What scontrol knows of a job: its keys and values."""
        text = self.run("scontrol", "show", "job", "-o", number).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def wait_for_state(self, number, *states, timeout=180):
        """Of a job; returns what scontrol then says."""
        return wait_until(f"job {number} is {' or '.join(states)}",
                          lambda: (job := self.job(number))["JobState"] in states and job, timeout)

    def first_process(self, node):
        """The first process of a node, as this machine numbers it."""
        parent = self.nodes[node].pid
        return int(pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

    def programs_on(self, node):
        """Command lines of all that runs on a node but slurmd."""
        lines = []
        for entry in pathlib.Path(f"/proc/{self.first_process(node)}/root/proc").iterdir():
            if entry.name.isdigit() and entry.name != "1":
                with contextlib.suppress(OSError):
                    lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        return [line for line in lines if line]

    def files_in(self, node, folder):
        """Names in a folder that is the node's own: /tmp, /dev/shm."""
        root = pathlib.Path(f"/proc/{self.first_process(node)}/root")
        return sorted(entry.name for entry in (root / folder.lstrip("/")).iterdir())
