"""Build configs of the small release in tests/helpers/small_release.py."""

import shutil
from contextlib import ExitStack, contextmanager

import pytest
from helpers.small_release import OPTIONS, PROMPT, PROMPTS, tables

from stepforge.builders import configs as configs_module
from stepforge.builders.configs import account_for, build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.stages.build import TAILS


@pytest.fixture(scope="session")
def open_pool(tmp_path_factory):
    """As `_pool`, with views made once, which takes longer than most statements; each call brings its own tables."""
    folder, make, stack, pools = tmp_path_factory.mktemp("pool"), configs_module._pool, ExitStack(), {}

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


@pytest.fixture(autouse=True)
def one_pool(open_pool, monkeypatch):
    monkeypatch.setattr(configs_module, "_pool", open_pool)


@pytest.fixture
def build(tmp_path):
    """Rows of one config, of several by name, or what is left out of them: `build(name, tables, option=value)`."""

    def built(configs, tables=tables, account=False, **changes):
        paths = {name: tmp_path / "in" / f"{name}.parquet" for name in [*tables(), "prompts", "tails"]}
        for name, rows_of_table in tables().items():
            write_rows(paths[name], rows_of_table, TABLES[name].schema)
        write_rows(paths["prompts"], [PROMPT], PROMPTS)
        write_rows(paths["tails"], [], TAILS)
        names = [configs] if isinstance(configs, str) else configs
        given = (names, paths, OPTIONS | changes, tmp_path / "out", "256MiB")
        if account:
            return account_for(*given)
        build_configs(*given)
        rows = {name: list(read_rows(tmp_path / "out" / f"{name}.parquet")) for name in names}
        return rows[configs] if isinstance(configs, str) else rows

    return built
