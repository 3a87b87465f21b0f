"""Which server jobs are waited for and which are replaced; programs of a few lines stand for those of Slurm.

The real Slurm is in test_shared_servers.py, which is slow.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference import slurm_servers
from stepforge.pipelines.inference.demand import packed, write_private
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.options.executor import Slurm
from stepforge.pipelines.options.generators import VllmGenerator

GENERATOR = VllmGenerator(name="v", engine="vllm", model="tiny")
PROGRAMS = {"sbatch": "cat > /dev/null; echo job >> JOBS; wc -l < JOBS | tr -d ' '", "squeue": "cat STATES",
            "scancel": 'echo "$@" >> CANCELLED'}


class Cluster:
    """Jobs are numbered from 1; `states` and `serve` say how they are."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.servers = folder, folder / "servers"
        self.states(*["RUNNING"] * 9)

    def states(self, *states: str) -> None:
        (self.folder / "STATES").write_text("".join(f"{job} {state}\n" for job, state in enumerate(states, 1)))

    def serve(self, *jobs: int) -> None:
        for job in jobs:
            write_private(self.servers / f"{job}.json", {"addresses": packed([address(job)])})

    def jobs(self) -> int:
        return (self.folder / "JOBS").read_text().count("job") if (self.folder / "JOBS").exists() else 0


def address(job: int) -> Address:
    return Address(f"http://node{job}/v1", Path("log"))


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    for name, body in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{body}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(slurm_servers, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(slurm_servers, "BEAT_SECONDS", 0.1)
    return Cluster(tmp_path)


@pytest.fixture
def asking(cluster):
    """Asks for addresses in a thread, and returns once all jobs are submitted."""
    pool = ThreadPoolExecutor()

    def ask(nodes):
        settings = Slurm.model_validate({"partition": "p", "servers": {"nodes": nodes}})
        ask.servers = slurm_servers.ServerJobs(cluster.servers, cluster.folder / "logs", settings)
        future = pool.submit(ask.servers.addresses, GENERATOR)
        while cluster.jobs() < nodes and not future.done():
            time.sleep(0.01)
        return future

    yield ask
    ask.servers.close()
    pool.shutdown()


def test_the_first_server_waits_for_the_others(cluster, asking):
    future = asking(2)
    cluster.serve(1)
    with pytest.raises(TimeoutError):
        future.result(1)
    cluster.serve(2)
    assert future.result(60) == (address(1), address(2))


def test_the_first_server_does_not_wait_longer_than_it_may(cluster, asking, monkeypatch):
    monkeypatch.setattr(slurm_servers, "GATHER_SECONDS", 0.2)
    future = asking(2)
    cluster.serve(1)
    assert future.result(60) == (address(1),)


def test_a_job_that_waits_in_the_queue_is_not_silent_and_one_that_began_is(cluster, asking, monkeypatch):
    monkeypatch.setattr(slurm_servers, "SILENT_SECONDS", 0.3)
    future = asking(1)
    with pytest.raises(TimeoutError):
        future.result(1)
    assert cluster.jobs() == 1
    write_private(cluster.servers / "1.json", {"beat": 1})
    while cluster.jobs() < 2:
        time.sleep(0.01)
    cluster.serve(2)
    assert future.result(60) == (address(2),)
    assert "1" in (cluster.folder / "CANCELLED").read_text().split()


def test_jobs_that_never_serve_end_the_stage(cluster, asking):
    cluster.states(*["COMPLETED"] * 9)
    future = asking(1)
    with pytest.raises(StageFailed, match=r"job 3 is COMPLETED; its log is .*node-0"):
        future.result(60)


def test_jobs_that_served_are_replaced_however_many_end(cluster, asking):
    future = asking(1)
    cluster.serve(1)
    assert future.result(60) == (address(1),)
    cluster.states(*["COMPLETED"] * 4, *["RUNNING"] * 5)
    cluster.serve(2, 3, 4, 5)
    answers = [asking.servers.addresses(GENERATOR) for _ in range(5)]
    assert answers == [(), (), (), (), (address(5),)]
