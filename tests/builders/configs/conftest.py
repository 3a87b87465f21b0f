"""Build configs of the small release in tests/helpers/small_release.py."""


import pytest
from helpers.small_release import OPTIONS, PROMPT, PROMPTS, tables

from stepforge.builders.configs import account_for, build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.stages.build import TAILS


@pytest.fixture
def build(tmp_path):
    def built(config, tables=tables, account=False, **changes):
        paths = {name: tmp_path / "in" / f"{name}.parquet" for name in [*tables(), "prompts", "tails"]}
        for name, found in tables().items():
            write_rows(paths[name], found, TABLES[name].schema)
        write_rows(paths["prompts"], [PROMPT], PROMPTS)
        write_rows(paths["tails"], [], TAILS)
        given = ([config], paths, OPTIONS | changes, tmp_path / "out", "256MiB")
        if account:
            return account_for(*given)
        build_configs(*given)
        return list(read_rows(tmp_path / "out" / f"{config}.parquet"))

    return built
