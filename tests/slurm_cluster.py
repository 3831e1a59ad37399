"""A real SLURM cluster on this machine alone: virtual nodes on loopback, without systemd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
# Snakemake's job step drops SLURM_CONF, so srun inside a job looks at the compiled-in place.
COMPILED_IN = Path("/etc/slurm/slurm.conf")
# Two partitions on the same nodes; a job of `urgent` sends jobs of `main` back to the queue.
# Time is dealt out fast: a job handed back starts again after seconds, not after two minutes.
CONFIGURATION = """
ClusterName=sista
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SlurmctldPort=16817
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
SlurmdTimeout=10
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=UNLIMITED State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = (
    "NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=33000"
    " Gres=gpu:2 State=UNKNOWN"
)


def unavailable() -> str | None:
    """Return why no cluster can be started here, or None."""
    missing = sorted({p for name, p in PACKAGES.items() if not shutil.which(name, path=PATH)})
    if missing:
        return f"SLURM is not installed: apt-get install {' '.join(missing)}"
    if os.geteuid():
        return "SLURM's daemons are started by root only"
    if COMPILED_IN.exists():
        return f"{COMPILED_IN} is there: this machine has a cluster already"
    return None


def wait_until(true: Callable[[], object], what: str, seconds: float = 900) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.2)


class Cluster:
    """A running cluster.

    Args:
        folder: holds its settings, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        return subprocess.run(
            command,
            env={**os.environ, "PATH": PATH, **self.environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def jobs(self, *states: str) -> list[str]:
        """Return the ids of the jobs in these states; by default all that have not ended."""
        asked = [f"--states={','.join(states)}"] if states else []
        return self.run("squeue", "--noheader", "--array", "--format=%i", *asked).split()

    def facts(self, job: str) -> dict[str, str]:
        """Return what SLURM knows about a job."""
        shown = self.run("scontrol", "show", "--oneliner", "job", job).split()
        return dict(word.split("=", 1) for word in shown if "=" in word)

    def limit(self, job: str, minutes: int) -> None:
        """Set the time limit of a job as soon as it runs (again)."""
        wait_until(lambda: self.facts(job)["JobState"] == "RUNNING", f"job {job} runs")
        self.run("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")

    def start(self, nodes: int) -> None:
        """Write the settings, start the daemons and wait for the nodes."""
        host = socket.gethostname().partition(".")[0]
        names = [f"n{i}" for i in range(1, nodes + 1)]
        lines = [NODE.format(i=i, host=host, port=17000 + i) for i in range(1, nodes + 1)]
        settings = {"host": host, "folder": self.folder, "nodes": "\n".join(lines)}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**settings))
        # SLURM counts these as GPUs; nothing computes on them.
        devices = "".join(f"Name=gpu File=/dev/{name}\n" for name in ("null", "zero"))
        (self.folder / "gres.conf").write_text(devices)
        for name in ("state", *(f"spool/{name}" for name in names)):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        places = {"key-file": key, "seed-file": self.folder / "munge.seed"}
        places |= {"socket": self.folder / "munge.sock", "pid-file": self.folder / "munged.pid"}
        places |= {"log-file": self.folder / "munged.log"}
        self.run("munged", "--force", *(f"--{name}={place}" for name, place in places.items()))
        COMPILED_IN.parent.mkdir(exist_ok=True)
        COMPILED_IN.symlink_to(self.folder / "slurm.conf")
        self.run("slurmctld")
        for name in names:
            self.start_node(name)
        wait_until(lambda: self.nodes() == ["idle"] * nodes, "all nodes are idle")

    def nodes(self) -> list[str]:
        """Return the state of each node."""
        asked = ("--noheader", "--Node", "--partition=main", "--format=%T")
        return self.run("sinfo", *asked).split()

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self.run("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """End a node as a power cut does: its daemon, then all processes of its jobs."""
        _kill(psutil.Process(int((self.folder / f"slurmd.{name}.pid").read_text())))
        tasks = [each for each in psutil.process_iter() if _node(each) == name]
        # First those that would tell the controller what has become of the others.
        watchers = {up for each in tasks for up in _above(each) if up.name() == "slurmstepd"}
        for process in (*watchers, *tasks):
            _kill(process)

    def stop(self) -> None:
        """End all jobs, then the daemons, by the ids in their own pid files."""
        # A cluster that did not come up has no jobs; its daemons are ended all the same.
        with suppress(subprocess.CalledProcessError, TimeoutError):
            self.run("scancel", "--user=root")
            wait_until(lambda: not self.jobs(), "the queue is empty", 60)
        for pattern in ("slurmd.*.pid", "slurmctld.pid", "munged.pid"):
            for file in self.folder.glob(pattern):
                _end(int(file.read_text()), pattern.partition(".")[0])
        if COMPILED_IN.is_symlink() and COMPILED_IN.readlink() == self.folder / "slurm.conf":
            COMPILED_IN.unlink()


@contextmanager
def running(folder: Path, nodes: int = 2) -> Iterator[Cluster]:
    """Start a cluster and stop it at the end."""
    cluster = Cluster(folder)
    try:
        cluster.start(nodes)
        yield cluster
    finally:
        cluster.stop()


def _node(process: psutil.Process) -> str | None:
    """Return the virtual node that a process computes on."""
    with suppress(psutil.Error):
        return process.environ().get("SLURMD_NODENAME")
    return None


def _above(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.parents()
    return []


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _end(pid: int, name: str) -> None:
    status = Path(f"/proc/{pid}/status")

    def alive() -> bool:
        try:
            facts = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            return False
        # A zombie waits for whoever started it, and does nothing more.
        return facts["Name"] == name and not facts["State"].startswith("Z")

    if alive():
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(), f"{name} {pid} has ended")
