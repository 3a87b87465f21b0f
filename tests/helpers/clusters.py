"""A real Slurm of one node and a real Ray of two, on this machine, for as long as a test session needs them.

Slurm comes from Debian's packages and is started without systemd, under a configuration of its own; Ray comes with
the test requirements. Both end with their processes, by id.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ["slurm-wlm", "munge"]
CPUS = 10  # that Slurm believes in, so that eight ranks and a server run at a time
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SchedulerType=sched/backfill
ReturnToService=2
SlurmdParameters=config_overrides
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES State=UP
"""


def why_no_slurm() -> str | None:
    """Why Slurm cannot be had here, or null; its packages are installed where they are missing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "Slurm's daemons must be started as root on Linux"
    if shutil.which("slurmctld") and shutil.which("munged"):
        return None
    if not shutil.which("apt-get"):
        return "Slurm is not installed and there is no apt-get to install slurm-wlm and munge with"
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, check=False,
                              env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode:
            return f"apt-get {command[0]} failed: {done.stderr[-300:]}"
    return None


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """A running cluster with a partition `cpu`; yields the environment that its clients need."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/var/tmp"))  # munge refuses folders that others may write
    folder.chmod(0o755)
    conf = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    conf.write_text(SLURM_CONF.format(folder=folder, host=host, controller_port=_port(), node_port=_port(),
                                      cpus=CPUS, memory=memory * 9 // 10))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # unused, but slurmd wants one that it knows
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
              f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
              f"--seed-file={folder}/munged.seed"]
    environment = os.environ | {"SLURM_CONF": str(conf)}
    started: list[subprocess.Popen] = []
    try:
        for command in (munged, ["slurmctld", "-D", "-c", "-f", str(conf)], ["slurmd", "-D", "-f", str(conf)]):
            with (folder / f"{command[0]}.out").open("wb") as output:
                started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
            if command is munged:
                _until(lambda: (folder / "munge.socket").exists(), "munged made no socket", folder)
        _until(lambda: "idle" in _output(["sinfo", "-h", "-o", "%T"], environment), "the node is not idle", folder)
        yield {"SLURM_CONF": str(conf)}
    finally:
        subprocess.run(["scancel", "--partition=cpu"], env=environment, capture_output=True, check=False)
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ray_cluster(environment: dict[str, str]) -> Iterator[str]:
    """Two nodes of two CPUs; yields the address. Their workers get `environment` on top of this process's own."""
    from ray.cluster_utils import Cluster

    kept = {name: os.environ.get(name) for name in [*environment, "RAY_worker_niceness"]}
    os.environ.update(environment)
    os.environ["RAY_worker_niceness"] = "0"  # by default workers step back for whatever else the machine does
    resources = {"num_cpus": 2, "memory": 4 * 1024**3, "object_store_memory": 100 * 1024**2}
    cluster = Cluster(initialize_head=True, head_node_args=resources | {"include_dashboard": False})
    try:
        cluster.add_node(**resources)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _until(ready, what: str, folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            logs = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}"
                             for path in sorted(folder.glob("*.out")) + sorted(folder.glob("*.log")))
            raise RuntimeError(f"{what} after {seconds:.0f} s\n{logs}")
        time.sleep(0.2)
