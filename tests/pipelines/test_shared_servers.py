"""On a real Slurm, ranks of all stages share the servers of server jobs, and those that die are replaced."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from helpers.launched import make_program
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference.server_commands import PYTHON, PYTHONS
from stepforge.pipelines.run_folder import server_logs_path, servers_path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SERVED = {"name": "served", "engine": "vllm", "model": "tiny", "samples": 4, "concurrency": 1}
SERVERS = {"gpus": 0, "cpus": 1, "memory_gb": 1, "time": "10:00"}
EIGHT = {"kind": "slurm", "tasks": 8, "workers": 8, "memory_gb_per_cpu": 1,
         "slurm": {"partition": "cpu", "time": "10:00", "servers": SERVERS},
         "stages": {stage: {"kind": "local", "tasks": 1, "workers": 1} for stage in ("verify", "deduplicate")}}


def asking(executor: dict, **generator) -> dict:
    """32 problems, solutions and rollouts of a served model; no stage but these two asks it."""
    return SMALL | {"problems": [{"source": "arithmetic", "limit": 32, "steps": [3, 4]}], "judge": None,
                    "generators": [SERVED | generator], "annotate": SMALL["annotate"] | {"policy": "served"},
                    "executor": executor}


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """Takes what goes wrong with a program in the place of the engines; returns the file that counts its starts."""
    return scripting(monkeypatch, tmp_path)


def scripting(monkeypatch, folder: Path):
    program, starts = make_program(folder / "python"), folder / "starts"
    for variable in PYTHONS.values():
        monkeypatch.setenv(variable, str(program))
    monkeypatch.setenv("COUNT", str(starts))
    monkeypatch.setenv("BODIES", str(folder / "bodies"))

    def choose(what: str) -> Path:
        monkeypatch.setenv("WHAT", what)
        starts.unlink(missing_ok=True)
        return starts
    return choose


def tables(run: Path) -> dict[str, list[dict]]:
    return {name: rows(run, name) for name in ("solutions", "verdicts", "rollouts", "steps")}


def server_jobs() -> list[str]:
    shown = subprocess.run(["squeue", "-h", "-o", "%A %j"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in shown.splitlines() if "stepforge-server" in line]


@pytest.fixture(scope="module")
def alone(on_slurm, tmp_path_factory):
    """The tables of one rank on this machine."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        scripting(patch, folder)("works")
        execute(asking({"tasks": 1, "workers": 1}), folder / "alone", last="annotate")
    made = tables(folder / "alone")
    assert len(made["solutions"]) == 128 and made["rollouts"]
    return made


def test_eight_ranks_share_a_server_through_all_stages_and_one_that_dies_is_replaced(alone, scripted, tmp_path):
    count = scripted("dies once")
    execute(asking(EIGHT), tmp_path / "run", last="annotate")
    assert tables(tmp_path / "run") == alone
    assert count.read_text() == "xx"
    assert not servers_path(tmp_path / "run").exists()
    log = "".join(path.read_text() for path in server_logs_path(tmp_path / "run").rglob("*.log"))
    assert "listening" in log and "--host 0.0.0.0" in log and "api-key" not in log


def test_server_job_that_is_ended_is_replaced(alone, scripted, monkeypatch, tmp_path):
    count = scripted("works")
    monkeypatch.setenv("PAUSE", "0.5")
    (tmp_path / "bodies").write_text("")
    cancelled = []

    def cancel() -> None:
        while len((tmp_path / "bodies").read_text().splitlines()) < 10:
            time.sleep(0.1)
        cancelled.extend(server_jobs())
        subprocess.run(["scancel", *cancelled], check=True)

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    execute(asking(EIGHT), tmp_path / "run", last="generate")
    canceller.join()
    assert len(cancelled) == 1 and count.read_text() == "xx"
    assert rows(tmp_path / "run", "solutions") == alone["solutions"]
    deadline = time.monotonic() + 60
    while server_jobs() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not server_jobs()


def test_servers_that_cannot_start_say_why(on_slurm, scripted, tmp_path):
    scripted("memory")
    with pytest.raises(StageFailed, match="set `max_model_len` or `gpu_memory` lower"):
        execute(asking(EIGHT | {"tasks": 1}), tmp_path / "run", last="generate")


@pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no Python with vLLM; see `make test-slow`")
def test_eight_ranks_share_a_real_vllm(on_slurm, monkeypatch, tmp_path):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    servers = SERVERS | {"cpus": 2, "memory_gb": 8}
    executor = EIGHT | {"slurm": EIGHT["slurm"] | {"servers": servers}}
    recipe = asking(executor, dtype="float32", max_model_len=256, max_tokens=96, concurrency=16,
                    arguments=["--enforce-eager", "--block-size", "32"])
    execute(recipe, tmp_path / "run", last="annotate")
    made = tables(tmp_path / "run")
    assert len(made["solutions"]) == 128 and len({row["seed"] for row in made["solutions"]}) == 128
    assert made["rollouts"] and all(row["finish_reason"] in ("stop", "length") for row in made["rollouts"])
    logs = list(server_logs_path(tmp_path / "run").rglob("served-*.log"))
    assert len(logs) == 1 and logs[0].read_text().count("Application startup complete") == 1
