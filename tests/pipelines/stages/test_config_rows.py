"""Rows of configs that ranks make bucket by bucket are those of one process."""

import shutil

import pyarrow as pa
import pytest
from helpers.runs import SMALL, by_key

from stepforge.builders.configs import CONFIGS
from stepforge.builders.errors import StageFailed
from stepforge.builders.parquet import count_rows, parts_of, read_batches, read_rows
from stepforge.pipelines.executors import run_pipeline
from stepforge.pipelines.plan import silent
from stepforge.pipelines.progress import read_progress
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Context
from stepforge.pipelines.stages.build import INPUTS, options
from stepforge.pipelines.stages.config_rows import BuildStep, decide, rows_of_configs

OPTIONS = [
    {},
    {"rollout_positives": True, "rollout_negatives": True, "pair_negatives": "all", "text_behind_answer": "cut",
     "max_behind_answer": 0, "after_pit": "keep", "labels": "threshold", "keep_truncated": True},
    {"consensus": True, "rl_generator": "tiny", "least_pass_rate": 0.0, "most_pass_rate": 0.5, "labels": "first_zero",
     "min_pit_drop": 0.3, "max_positives_per_problem": 1, "spurious_positives": "flag"},
]
NAMES = tuple(name for name, config in CONFIGS.items() if not config.is_chat or name == "pairs_chat")


@pytest.fixture
def prepared(small_run, tmp_path):
    """A run of so many buckets before its build, and what its rows are made of."""

    def prepare(buckets: int, names=NAMES, **changes):
        folder = tmp_path / f"run-{buckets}"
        shutil.copytree(small_run / "tables", folder / "tables", dirs_exist_ok=True)
        executor = {"tasks": 2, "workers": 1, "buckets": buckets, "duckdb_memory": "256MiB"}
        recipe = Recipe.model_validate(SMALL | {"executor": executor})
        context = Context(recipe, folder, folder / "work", silent)
        context.settle(*INPUTS)
        return context, decide(context, names, options(recipe) | changes)

    return prepare


def finished(table, finish):
    """Rows of a config, completed block by block."""
    for batch in read_batches(table, batch_rows=7):
        block = pa.Table.from_batches([batch])
        yield from (finish(block) if finish else block).to_pylist()


def made(prepared):
    context, making = prepared
    with rows_of_configs(context, making) as rows:
        return {name: by_key(finished(table, rows.finish.get(name)), CONFIGS[name].key)
                for name, table in rows.tables.items()}, rows.counts, rows.left


@pytest.mark.parametrize(("changes", "buckets"), list(zip(OPTIONS, [5, 2, 3], strict=True)))
def test_rows_of_every_config_and_what_is_left_out_are_those_of_one_bucket(prepared, changes, buckets):
    """Of 5 buckets one has no problem, so no annotated solution, while others have some."""
    expected = made(prepared(1, **changes))
    assert all(expected[1].values()) or "consensus" in changes
    assert list(expected[2].excluded) == list(NAMES) and sum(expected[2].weights.values()) == pytest.approx(1)
    run = prepared(buckets, **changes)
    assert made(run) == expected
    parts = [sum(map(count_rows, parts_of(run[1].tables["problems"], bucket))) for bucket in range(buckets)]
    assert sum(parts) == expected[1]["problems"] and (0 in parts) == (buckets == 5)


def test_a_rank_needs_no_part_of_another_bucket(prepared):
    context, making = prepared(3)
    list(BuildStep(making, context.work / "whole", 3).run(None, 1, 3))
    for table in making.tables.values():
        for bucket in (0, 2):
            for part in parts_of(table, bucket) if table.is_dir() else ():
                part.unlink()
    list(BuildStep(making, context.work / "alone", 3).run(None, 1, 3))
    for name in (*NAMES, "weighed"):
        (part,) = parts_of(context.work / "alone/configs" / name)
        assert list(read_rows(part)) == list(read_rows(context.work / "whole/configs" / name / part.name)), name
    assert read_progress(context.work / "alone")["documents"] == sum(1 for _ in read_rows(making.tables["problems"]))


def test_a_rank_that_was_killed_makes_its_own_buckets_again_and_no_other(prepared):
    context, making = prepared(3, ("problems", "pairs"))
    work, step = context.work / "build", BuildStep(making, context.work / "build", 3)
    run_pipeline([step], context.recipe.executor, work)
    times = {path: path.stat().st_mtime_ns for path in (work / "configs").rglob("*.parquet")}
    (work / "made/00002.json").unlink()
    with pytest.raises(StageFailed, match="output of 1 of 3 buckets is missing"):
        made((context, making))
    (work / "completions/00000").unlink()
    run_pipeline([step], context.recipe.executor, work)
    again = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert again == {path for path in times if path.name.startswith("part-00002")}
