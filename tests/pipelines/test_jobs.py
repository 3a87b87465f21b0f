"""Jobs share no disk with the machine that starts them: what they need goes there, what they make comes back.

The Hub runs jobs for money, so here its two calls are replaced: a job is the pickled executor, loaded from the staging
folder (in memory) and run in a folder of its own, with nothing of the run in it.
"""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import dill
import fsspec
import huggingface_hub
import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors import StageFailed, run_pipeline
from stepforge.pipelines.options.executor import Executor

RECIPE = {name: SMALL[name] for name in ("name", "problems", "generators", "release")}
JOBS = {"kind": "jobs", "tasks": 2, "jobs": {"staging": "memory://staging", "install": ["stepforge"], "poll_s": 1}}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """What the Hub was asked for, job by job; jobs run at once, in this process."""
    asked, ended = [], {}
    monkeypatch.setattr("datatrove.executor.jobs.time", SimpleNamespace(sleep=lambda seconds: None))

    def run_uv_job(script, script_args, env, **settings):
        asked.append({"env": env, **settings})
        here = Path.cwd()
        os.environ |= env
        try:
            with fsspec.open(script_args[0], "rb") as file:
                dill.load(file).run()
            ended[len(asked)] = "COMPLETED"
        except BaseException:
            ended[len(asked)] = "ERROR"
        finally:
            shutil.rmtree(Path.cwd() / "runs", ignore_errors=True)
            os.chdir(here)
            for name in env:
                os.environ.pop(name, None)
        return SimpleNamespace(id=len(asked), url="")

    monkeypatch.setattr(huggingface_hub, "run_uv_job", run_uv_job)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_token")
    monkeypatch.setattr(huggingface_hub, "inspect_job", lambda job_id, **_: SimpleNamespace(
        status=SimpleNamespace(stage=ended[job_id])))
    monkeypatch.chdir(tmp_path)
    yield asked
    fsspec.filesystem("memory").store.clear()


def test_jobs_make_the_rows_that_one_machine_makes(hub, tmp_path):
    execute(RECIPE | {"executor": {"tasks": 1, "workers": 1}}, tmp_path / "local", "verify")
    execute(RECIPE | {"executor": JOBS}, Path("runs/small"), "verify")
    for table in ("solutions", "verdicts"):
        assert rows(Path("runs/small"), table) == rows(tmp_path / "local", table), table
    assert len(hub) == 4 and {job["flavor"] for job in hub} == {"cpu-basic"}
    journals = list(Path("runs/small/generated").glob("*/*.jsonl"))
    assert sum(len(path.read_bytes().splitlines()) for path in journals) == 72, "what was paid for comes back"


def test_secrets_go_to_jobs_and_into_no_file(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_KEY", "sk-secret")
    options = JOBS | {"jobs": JOBS["jobs"] | {"secrets": ["MODEL_KEY"]}}
    with pytest.raises(StageFailed, match="1 of 1 ranks did not finish. rank 0: OSError: gone"):
        run_pipeline([_fails], Executor.model_validate(options | {"tasks": 1}), tmp_path / "work", tmp_path)
    assert hub[0]["secrets"] == {"HF_TOKEN": "hf_token", "MODEL_KEY": "sk-secret"}
    written = [file.getvalue() for file in fsspec.filesystem("memory").store.values()]
    assert written and not any(b"sk-secret" in content or b"hf_token" in content for content in written)


def test_secret_that_is_not_set_is_a_users_mistake(tmp_path):
    options = JOBS | {"jobs": JOBS["jobs"] | {"secrets": ["NOT_SET_ANYWHERE"]}}
    with pytest.raises(UserError, match="NOT_SET_ANYWHERE"):
        run_pipeline([_fails], Executor.model_validate(options), tmp_path / "work", tmp_path)


def _fails(data, rank, world_size):
    raise OSError("gone")
