"""Jobs that serve, by the clients of a cluster that is a folder: which of them count, and who waits for whom.

The real Slurm is in test_shared_servers.py, which is slow.
"""

import pytest

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference import slurm_servers
from stepforge.pipelines.inference.slurm_servers import ServerJobs
from stepforge.pipelines.options.executor import Slurm
from stepforge.pipelines.options.generators import VllmGenerator

GENERATOR = VllmGenerator(name="g", engine="vllm", model="tiny")
CLIENTS = {
    "sbatch": """
cat > /dev/null; echo >> submitted; job=$(wc -l < submitted); echo $job
[ -z "$SERVES" ] || (sleep $((LATE * (job - 1))); cp lease servers/$job.json) > /dev/null 2>&1 &
""",
    "squeue": """
for job in $(seq $(wc -l < submitted)); do [ $job -lt $LIVES ] && echo $job COMPLETED || echo $job RUNNING; done
""", "scancel": ""}


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A function to jobs on so many nodes: job n serves LATE * (n - 1) seconds later, those before LIVES are over."""
    for name, program in CLIENTS.items():
        (tmp_path / name).write_text(f'#!/bin/sh\ncd "$(dirname "$0")"\n{program}')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in {"BEAT_SECONDS": 0.2, "ASK_SECONDS": 0.0}.items():
        monkeypatch.setattr(slurm_servers, name, value)
    (tmp_path / "lease").write_text('{"addresses": [["http://there:1/v1", "log", "key"]]}')

    def make(nodes=1, serves="1", late=0, lives=0):
        for name, value in {"SERVES": serves, "LATE": str(late), "LIVES": str(lives)}.items():
            monkeypatch.setenv(name, value)
        made.append(ServerJobs(tmp_path / "servers", tmp_path / "logs", Slurm(
            partition="cpu", servers={"nodes": nodes})))
        return made[-1]
    made = []
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(("gather", "late", "answer"), [(60.0, 1, 2), (0.0, 9, 1)])
def test_the_first_server_waits_for_the_second_but_not_for_ever(jobs, monkeypatch, gather, late, answer):
    monkeypatch.setattr(slurm_servers, "GATHER_SECONDS", gather)
    assert len(jobs(nodes=2, late=late).addresses(GENERATOR)) == answer


def test_a_job_that_served_and_ended_is_replaced_as_often_as_it_takes(jobs, tmp_path):
    assert len(jobs(lives=6).addresses(GENERATOR)) == 1
    assert (tmp_path / "submitted").read_text().count("\n") == 6


def test_jobs_that_never_serve_end_the_stage(jobs, tmp_path):
    with pytest.raises(StageFailed, match=r"the server job 3 is COMPLETED; its log is .*job\.log"):
        jobs(serves="", lives=100).addresses(GENERATOR)
    assert (tmp_path / "submitted").read_text().count("\n") == 3
