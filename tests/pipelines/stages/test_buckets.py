"""A run of one bucket of problem ids and a run of many give the same rows."""

import copy
import json
import shutil

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.builders import configs
from stepforge.builders.parquet import buckets_of, parts_of, read_rows
from stepforge.builders.tables import BUCKETED, TABLES
from stepforge.pipelines.inference.journal import shard_of
from stepforge.pipelines.run_folder import table_path

NAMES = [name for name in TABLES if name != "drops"]


def in_buckets(buckets: int, tasks: int = 2, **parts) -> dict:
    recipe = copy.deepcopy(SMALL) | parts
    recipe["executor"] = {"tasks": tasks, "workers": 1, "buckets": buckets}
    return recipe


def begun(run, folder):
    """The folder of a run of which nothing but the paid answers is there."""
    for journal in ("generated", "judged", "rollouts"):
        shutil.copytree(run / journal, folder / journal)
    return folder


def by_key(found, key):
    return sorted(found, key=lambda row: tuple((row[name] is not None, row[name]) for name in key))


def tables_of(folder):
    return {name: by_key(rows(folder, name), TABLES[name].key) for name in NAMES}


def release_of(folder):
    manifest = json.loads((folder / "release" / "stepforge.json").read_text())
    found = {}
    for name, facts in manifest["files"].items():
        if "config" in facts:
            found.setdefault((facts["config"], facts["split"]), []).extend(read_rows(folder / "release" / name))
    return {(config, split): by_key(table, configs.CONFIGS[config].key) for (config, split), table in found.items()}


@pytest.mark.parametrize("buckets", [4, 7])
def test_a_run_of_many_buckets_gives_the_rows_of_one(small_run, tmp_path, buckets):
    folder = begun(small_run, tmp_path / "small")
    execute(in_buckets(buckets), folder)
    assert tables_of(folder) == tables_of(small_run)
    assert release_of(folder) == release_of(small_run)
    for name in BUCKETED - {"rulings"}:
        path = table_path(folder, name)
        assert buckets_of(path) == buckets and len(parts_of(path)) == buckets
        for bucket in range(buckets):
            found = [row for part in parts_of(path, bucket) for row in read_rows(part)]
            assert all(shard_of(row["problem_id"], buckets) == bucket for row in found if "problem_id" in row)
