"""A rank that fails, however it fails, is reported, leaves the others alone, and is run again alone."""

import subprocess
import sys

import pytest
from helpers.steps import FailsOnce, Imports, visits

from stepforge.pipelines import plan  # noqa: F401  # with all stages, as in a run
from stepforge.pipelines.executors import StageFailed, run_pipeline
from stepforge.pipelines.options.executor import Executor


@pytest.mark.parametrize(("workers", "how", "message"), [
    (1, "raises", "no space left"), (2, "raises", "no space left"),
    (2, "killed", "killed (signal 9), as a system does that has no memory left"),
    (2, "cannot be unpickled", "a failure"),
    (1, "fills the disk", "No space left on device"), (2, "fills the disk", "No space left on device"),
])
def test_failed_rank_is_told_and_only_it_runs_again(tmp_path, workers, how, message):
    step, executor = FailsOnce(tmp_path, how), Executor(tasks=3, workers=workers)
    with pytest.raises(StageFailed, match="1 of 3 ranks") as caught:
        run_pipeline([step], executor, tmp_path / "work")
    assert "rank 1" in str(caught.value) and message in str(caught.value)
    run_pipeline([step], executor, tmp_path / "work")
    assert visits(tmp_path) == [1, 2, 1]


def test_ranks_that_are_done_leave_one_file_each_and_a_failed_one_its_log(tmp_path):
    """Ranks may be thousands: what nobody reads of them goes."""
    with pytest.raises(StageFailed):
        run_pipeline([FailsOnce(tmp_path, "raises")], Executor(tasks=3, workers=1), tmp_path / "work")
    assert sorted(str(path.relative_to(tmp_path / "work")) for path in (tmp_path / "work").rglob("*")
                  if path.is_file()) == ["completions/00000", "completions/00002", "failed/00001.txt",
                                         "logs/task_00001.log"]


def test_rank_imports_nothing_that_the_run_has_imported(tmp_path):
    """The fork server has imported it all: a thousand ranks must not cost a second each."""
    run_pipeline([Imports(tmp_path)], Executor(tasks=2, workers=2), tmp_path / "work")
    assert [path.read_text() for path in sorted(tmp_path.glob("imports-*"))] == ["", ""]


@pytest.mark.parametrize(("options", "message"), [
    ({"kind": "slurm"}, "needs `slurm` with at least `partition`"),
    ({"kind": "jobs"}, "needs `jobs` with at least `staging` and `install`"),
    ({"stages": {"annotate": {"kind": "slurm"}}}, "kind 'slurm' of annotate needs"),
    ({"tasks_per_job": 4}, "tasks_per_job: 4 for synthesize, which asks a model"),
    ({"stages": {"annotate": {"tasks_per_job": 2}}}, "set executor.stages.annotate.tasks_per_job to 1"),
    ({"stages": {"anotate": {"tasks": 2}}}, "Input should be 'synthesize', 'generate'"),
    ({"kind": "cloud"}, "Input should be 'local', 'slurm', 'ray' or 'jobs'"),
])
def test_executor_that_cannot_work_is_refused_before_anything_runs(options, message):
    with pytest.raises(ValueError) as caught:
        Executor.model_validate(options)
    assert message in str(caught.value)


def test_stage_has_its_own_shards_and_the_rest_of_the_recipes():
    executor = Executor.model_validate({
        "kind": "slurm", "tasks": 4, "slurm": {"partition": "cpu"},
        "stages": {"annotate": {"tasks": 64, "gpus_per_task": 1, "slurm": {"partition": "gpu", "time": "2:00:00"}},
                   "verify": {"kind": "local", "tasks_per_job": 8}}})
    annotate, verify = executor.of("annotate"), executor.of("verify")
    assert (annotate.kind, annotate.tasks, annotate.gpus_per_task, annotate.workers) == ("slurm", 64, 1, 2)
    assert annotate.slurm.partition == "gpu" and executor.of("generate").slurm.partition == "cpu"
    assert (verify.kind, verify.tasks, verify.tasks_per_job) == ("local", 4, 8)
    assert executor.of("measure") == executor.model_copy(update={"stages": {}})


def test_log_shows_no_local_values_even_where_loguru_came_first(tmp_path):
    """Keys are local values; loguru shows those of a traceback unless it is told before it is imported."""
    code = ("import io\nfrom loguru import logger\nimport stepforge.pipelines.executors\n"
            "told = io.StringIO()\nlogger.remove()\nlogger.add(told)\n"
            "def fails(key):\n    return 1 / len(key[:0])\n"
            "try:\n    fails('sk-secret')\nexcept ZeroDivisionError:\n    logger.exception('gone')\n"
            "print('gone' in told.getvalue(), \"= 'sk-secret'\" in told.getvalue())")
    (tmp_path / "code.py").write_text(code)
    done = subprocess.run([sys.executable, "code.py"], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert done.stdout.split() == ["True", "False"]
