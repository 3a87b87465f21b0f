"""Build configs of the small release in tests/helpers/small_release.py."""

import pytest
from helpers.pools import one_pool, open_pool  # noqa: F401
from helpers.small_release import OPTIONS, PROMPT, PROMPTS, tables

from stepforge.builders.configs import account_for, build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.stages.build import TAILS


@pytest.fixture(autouse=True)
def views_made_once(one_pool):  # noqa: F811
    pass


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
