"""Views of a release made once for many builds: to make them takes longer than most statements that read them."""

import shutil
from contextlib import ExitStack, contextmanager

import pytest

from stepforge.builders import configs


@pytest.fixture(scope="session")
def open_pool(tmp_path_factory):
    """As `_pool`, with views made once; each call brings its own tables."""
    folder, make, stack, pools = tmp_path_factory.mktemp("pool"), configs._pool, ExitStack(), {}

    @contextmanager
    def opened(inputs, parameters, scratch, memory):
        paths = {name: folder / f"{name}.parquet" for name in inputs}
        for name, path in inputs.items():
            shutil.copyfile(path, paths[name])
        if (tables := frozenset(inputs)) not in pools:
            pools[tables] = stack.enter_context(make(paths, parameters, folder / "scratch", memory))
        for name, value in parameters.items():
            pools[tables].execute(f"SET VARIABLE {name} = $value", {"value": value})
        yield pools[tables]

    with stack:
        yield opened


@pytest.fixture
def one_pool(open_pool, monkeypatch):
    """Builds in this process share the views of `open_pool`."""
    monkeypatch.setattr(configs, "_pool", open_pool)
