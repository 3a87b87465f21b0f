"""A small real run, made once: our problems, the shipped model, every stage."""

from pathlib import Path

import pytest
from helpers.runs import SMALL, execute


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    execute(SMALL, folder)
    return folder
