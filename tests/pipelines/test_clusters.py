"""A real Slurm and a real Ray run the same recipe as one machine does, to the same rows; failures there are loud."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.clusters import ray_cluster
from helpers.runs import execute, release_of, tables_of, without_cache
from helpers.steps import FailsOnce, visits

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors import StageFailed, run_pipeline
from stepforge.pipelines.options.executor import Executor
from stepforge.pipelines.recipe import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TESTS = Path(__file__).parents[1]
SLURM = {"kind": "slurm", "slurm": {"partition": "cpu", "time": "10:00"}, "memory_gb_per_cpu": 1}


# Each rank of a stage that asks the embedded model loads it; test_shared_servers.py has eight of them.
EIGHT = {"tasks": 8, "workers": 8, "buckets": 8,
         "stages": {stage: {"tasks": 2, "workers": 2} for stage in ("generate", "annotate")}}


def demo(executor: dict) -> dict:
    """The demo recipe with fewer problems and rollouts."""
    recipe = load_recipe(Path("demo")).model_dump(mode="json")
    recipe["problems"][0]["limit"], recipe["generators"][0]["samples"] = 12, 4
    recipe["annotate"]["rollouts"], recipe["annotate"]["negatives_per_problem"] = 2, 2
    recipe["annotate"]["pit_fall"] = -1  # two rollouts make no pit certain
    recipe["release"]["to"] = None
    return recipe | {"executor": executor}


def contents_of(run: Path) -> tuple[dict, dict]:
    """Every table and the release, without what depends on the engine's cache."""
    return without_cache(tables_of(run)), without_cache(release_of(run))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    run = tmp_path_factory.mktemp("local") / "demo"
    execute(demo({"tasks": 1, "workers": 1}), run)
    tables, release = contents_of(run)
    assert len(tables["solutions"]) == 48 and tables["steps"] and ("step_pairs", "train") in release
    return tables, release


@pytest.fixture(scope="module")
def on_ray():
    with ray_cluster({"PYTHONPATH": str(TESTS)}) as address:
        yield {"kind": "ray", "ray": {"address": address}, "memory_gb_per_cpu": 1}
        import ray

        ray.shutdown()


def test_slurm_makes_the_rows_that_one_machine_makes(on_slurm, local, tmp_path):
    execute(demo(SLURM | EIGHT), tmp_path / "demo")
    assert contents_of(tmp_path / "demo") == local
    jobs = subprocess.run(["squeue", "-h", "--array", "--states=all", "-o", "%j"], capture_output=True, text=True,
                          check=True).stdout.split()
    assert all(jobs.count(f"stepforge-{stage}") == 8 for stage in ("verify", "deduplicate", "build")), jobs


def test_ray_makes_the_rows_that_one_machine_makes(on_ray, local, tmp_path):
    execute(demo(on_ray | EIGHT), tmp_path / "demo")
    assert contents_of(tmp_path / "demo") == local


@pytest.mark.parametrize(("how", "reason"), [("raises", "no space left"), ("killed", "is FAILED")])
def test_failed_rank_on_slurm_is_told_and_only_it_runs_again(on_slurm, tmp_path, how, reason):
    executor, step = Executor.model_validate(SLURM | {"tasks": 3}), FailsOnce(tmp_path, how)
    with pytest.raises(StageFailed, match=f"1 of 3 ranks.*rank 1: .*{reason}"):
        run_pipeline([step], executor, tmp_path / "work")
    run_pipeline([step], executor, tmp_path / "work")
    assert visits(tmp_path) == [1, 2, 1]


def test_job_of_a_killed_run_is_found_again_and_not_started_twice(on_slurm, tmp_path):
    code = ("import sys; from pathlib import Path; from helpers.steps import FailsOnce; "
            "from stepforge.pipelines.executors import run_pipeline; "
            "from stepforge.pipelines.options.executor import Executor; folder = Path(sys.argv[1]); "
            f"run_pipeline([FailsOnce(folder, 'is slow')], Executor(**{SLURM | {'tasks': 2}}), folder / 'work')")
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while not (tmp_path / "visits-1").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run_pipeline([FailsOnce(tmp_path, "is slow")], Executor.model_validate(SLURM | {"tasks": 2}), tmp_path / "work")
    assert visits(tmp_path) == [1, 1]


def test_rank_that_raises_on_ray_fails_the_run_and_one_that_is_killed_is_tried_again(on_ray, tmp_path):
    executor = Executor.model_validate(on_ray | {"tasks": 3})
    (tmp_path / "raises").mkdir()
    step = FailsOnce(tmp_path / "raises", "raises")
    with pytest.raises(StageFailed, match="1 of 3 ranks.*rank 1: OSError: no space left"):
        run_pipeline([step], executor, tmp_path / "work")
    run_pipeline([step], executor, tmp_path / "work")
    assert visits(tmp_path / "raises") == [1, 2, 1]
    (tmp_path / "killed").mkdir()
    run_pipeline([FailsOnce(tmp_path / "killed", "killed")], executor, tmp_path / "other")
    assert visits(tmp_path / "killed") == [1, 2, 1]


def test_machine_without_slurm_is_a_users_mistake(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no `sbatch` on PATH"):
        run_pipeline([os.getcwd], Executor.model_validate(SLURM), tmp_path / "work")
