"""Several hosts on this machine: namespaces with a host name, shared memory, /tmp and a network of their own, joined by veth pairs
through a bridge that is in none of them. They see each other as 10.77.0.x and nothing else of any network. Numbers of processes are
those of this machine: nobody could enter another host's otherwise. Needs root.

    with SeveralHosts(["a", "b"]) as hosts:
        hosts.run("a", [TRIGA, "launch", ..., "--hosts", "a,b", *hosts.launch_options()])
        hosts.cut("b")
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

# In the new namespaces. Folders of a test lie outside of /tmp, where all hosts see them, as on a shared file system.
START = """\
hostname "$1" && mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && chmod 1777 /tmp /dev/shm &&
mount --bind "$2" /etc/hosts && ip link set lo up || exit 1
echo ready
exec sleep infinity
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class SeveralHosts:
    def __init__(self, names):
        self.names = names
        self.processes = {}  # name -> the first process of the host
        self.folder = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise RuntimeError("several hosts on one machine need root")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="triga-hosts-", dir="/var/tmp"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        lines = ["127.0.0.1 localhost", *(f"{self.address(name)} {name}" for name in self.names)]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        for name in ("switch", *self.names):
            self._spawn(name)
        ip("-n", self._net("switch"), "link", "add", "bridge", "type", "bridge")
        ip("-n", self._net("switch"), "link", "set", "bridge", "up")
        for name in self.names:
            net = self._net(name)
            ip("-n", net, "link", "add", "eth0", "type", "veth", "peer", "name", f"to-{name}", "netns", self._net("switch"))
            ip("-n", self._net("switch"), "link", "set", f"to-{name}", "master", "bridge", "up")
            ip("-n", net, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
            ip("-n", net, "link", "set", "eth0", "up")
        self.agent = self.folder / "agent"
        # What mpirun calls in place of ssh: HOST COMMAND... A host that is cut off is not reached, as by ssh.
        cases = "".join(f"  {name}) pid={self.processes[name].pid};;\n" for name in self.names)
        self.agent.write_text(f'#!/bin/bash\nhost=$1; shift\ncase $host in\n{cases}esac\n[ -e "{self.folder}/cut-$host" ] && exit 255\n'
                              'exec nsenter --target "$pid" --all --wd="$PWD" -- bash -c "$*"\n')
        self.agent.chmod(0o755)

    def _spawn(self, name):
        # Also when the test itself is killed, which then cleans nothing up.
        line = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--uts", "--ipc", "--", "bash", "-c", START, "host",
                name, str(self.folder / "hosts")]
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True)
        self.processes[name] = process
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"host {name} does not start")
        namespace = pathlib.Path("/run/netns") / self._net(name)
        namespace.parent.mkdir(exist_ok=True)
        namespace.touch()
        subprocess.run(["mount", "--bind", f"/proc/{process.pid}/ns/net", namespace], check=True)

    def _net(self, name):
        return f"{self.folder.name}-{name}"

    def __exit__(self, *_):
        for name, process in self.processes.items():
            self._kill_all(name)
            process.wait()
            process.stdout.close()
            subprocess.run(["umount", f"/run/netns/{self._net(name)}"], stderr=subprocess.DEVNULL, check=False)
            pathlib.Path(f"/run/netns/{self._net(name)}").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, name):
        return f"10.77.0.{self.names.index(name) + 1}"

    def mpi_options(self):
        return ["--mca", "plm_rsh_agent", str(self.agent), "--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0"]

    def launch_options(self):
        """The same for triga launch."""
        return [word for option in self.mpi_options() for word in (f"--mpirun={option}",)]

    def line(self, name, command):
        return ["nsenter", "--target", str(self.processes[name].pid), "--all", f"--wd={os.getcwd()}", "--",
                *(str(word) for word in command)]

    def start(self, name, command, **options):
        return subprocess.Popen(self.line(name, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run(self, name, command, timeout=240, **options):
        return subprocess.run(self.line(name, command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False, **options)

    def cut(self, name):
        """Its cable is pulled: no packet comes or goes, and nobody is told."""
        (self.folder / f"cut-{name}").touch()
        ip("-n", self._net("switch"), "link", "set", f"to-{name}", "nomaster")

    def slow_down(self, name, rate):
        """What the host sends goes no faster than `rate`, such as 20mbit."""
        subprocess.run(["tc", "-n", self._net(name), "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64kbit",
                        "latency", "400ms"], check=True, capture_output=True)

    def crash(self, name):
        """The host is gone, with all that runs on it."""
        (self.folder / f"cut-{name}").touch()
        self._kill_all(name)

    def _kill_all(self, name):
        for pid in self.programs(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def programs(self, name, word=None):
        """Processes of a host; with `word`: those that have it among the words of their command lines."""
        found = []
        try:
            namespace = os.stat(f"/run/netns/{self._net(name)}").st_ino
        except FileNotFoundError:
            return [self.processes[name].pid]
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.stat(entry / "ns/net").st_ino == namespace and \
                        (word is None or word.encode() in (entry / "cmdline").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait_for_end(self, name, word, timeout=60):
        deadline = time.monotonic() + timeout
        while found := self.programs(name, word):
            if time.monotonic() > deadline:
                raise AssertionError(f"on host {name} there are still {found} of {word}")
            time.sleep(0.2)
