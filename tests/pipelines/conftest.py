"""A small real run, made once: our problems, the shipped model, every stage. And a server that follows a script."""

from collections import Counter
from pathlib import Path

import pytest
from helpers.clusters import slurm, why_no_slurm
from helpers.runs import SMALL, execute
from helpers.scripted import ScriptedServer

from stepforge.pipelines.inference import runner as runner_module


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    execute(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def on_slurm():
    """Inside, the commands of a real Slurm of one node are at hand, and its jobs can import the tests' helpers."""
    if reason := why_no_slurm():
        pytest.skip(reason)
    with slurm() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in (environment | {"PYTHONPATH": str(Path(__file__).parents[1])}).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def scripted(monkeypatch):
    """Takes a function of the prompt, and of how often it was asked, that answers in the place of every engine."""
    ScriptedServer.calls, ScriptedServer.seeds = Counter(), []
    monkeypatch.setattr(runner_module, "make_server", lambda generator, config, rank, *_: ScriptedServer(config, rank))

    def answer(function):
        ScriptedServer.answer = staticmethod(function)
    return answer
