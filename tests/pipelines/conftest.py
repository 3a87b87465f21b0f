"""A small real run, made once: our problems, the shipped model, every stage. And a server that follows a script."""

from collections import Counter
from pathlib import Path

import pytest
from helpers.runs import SMALL, execute
from helpers.scripted import ScriptedServer

from stepforge.pipelines.inference import runner as runner_module


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    execute(SMALL, folder)
    return folder


@pytest.fixture
def scripted(monkeypatch):
    """Takes a function of the prompt, and of how often it was asked, that answers in the place of every engine."""
    ScriptedServer.calls, ScriptedServer.seeds = Counter(), []
    monkeypatch.setattr(runner_module, "make_server", lambda generator, config, rank, *_: ScriptedServer(config, rank))

    def answer(function):
        ScriptedServer.answer = staticmethod(function)
    return answer
