"""Consensus: annotated solutions stay only where the judge names the first error that the rollouts find."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from helpers.world import RECIPE, filled, published, write_world

from stepforge.builders.configs import account_for
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.sql import load_sql
from stepforge.builders.tables import JUDGEMENTS, STEPS
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.build import options


def judged(soundness: str, first_error: int | None = None, steps: int = 3) -> dict[str, Any]:
    return {"soundness": soundness, "first_error": first_error, "steps": steps}


NAMED = {"sound": judged("sound"), "at 0": judged("unsound", 0), "at 1": judged("unsound", 1),
         "at 2": judged("unsound", 2), "undecided": judged("undecided")}


def world(folder: Path, **opinions: dict[str, Any]) -> dict[str, Path]:
    """The world with these judgements. Rollouts find no error in c, and the first one of w and of v at step 1."""
    paths = write_world(folder)
    write_rows(paths["judgements"], [
        filled("judgements", solution_id=name, sampled=False, votes_sound=0, votes_unsound=0, votes_undecided=1,
               judge="j", judge_id="j", **opinion) for name, opinion in opinions.items()], JUDGEMENTS.schema)
    return paths


def kept(paths: dict[str, Path], folder: Path) -> tuple[list[str], list[str], dict[str, dict[str, int]]]:
    """Solutions of `stepwise`, modes of `step_pairs`, and what both leave out."""
    stepwise, pairs = (published(paths, folder, name, consensus=True) for name in ("stepwise", "step_pairs"))
    recipe = Recipe.model_validate(RECIPE | {"release": {"consensus": True}})
    left = account_for(["stepwise", "step_pairs"], paths, options(recipe), folder, "256MiB").excluded
    return sorted(row["solution_id"] for row in stepwise), sorted(row["mode"] for row in pairs), left


def test_rows_stay_where_both_name_the_same_first_error(tmp_path: Path) -> None:
    paths = world(tmp_path, c=NAMED["sound"], w=NAMED["at 1"], v=NAMED["at 1"])
    stepwise, modes, left = kept(paths, tmp_path)
    assert stepwise == ["c", "v", "w"] and modes == ["full_vs_truncated", "shared_prefix"]
    assert left == {"stepwise": {}, "step_pairs": {"no_pit": 6}}


@pytest.mark.parametrize(("solution", "opinion", "reason"), [
    ("w", "at 0", "judge_disagrees"), ("w", "at 2", "judge_disagrees"), ("w", "sound", "judge_disagrees"),
    ("w", "undecided", "judge_undecided"), ("c", "at 1", "judge_disagrees"), ("c", "undecided", "judge_undecided"),
    ("v", "sound", "judge_disagrees"),
])
def test_what_is_left_out_is_counted_with_its_reason(
    solution: str, opinion: str, reason: str, tmp_path: Path
) -> None:
    opinions = {"c": NAMED["sound"], "w": NAMED["at 1"], "v": NAMED["at 1"]} | {solution: NAMED[opinion]}
    stepwise, modes, left = kept(world(tmp_path, **opinions), tmp_path)
    assert stepwise == sorted({"c", "v", "w"} - {solution}) and left["stepwise"] == {reason: 1}
    assert modes == ([] if solution == "w" else ["full_vs_truncated", "shared_prefix"])
    assert left["step_pairs"] == {"no_pit": 6} | ({reason: 2} if solution == "w" else {})


def test_pairs_need_the_judge_to_name_the_pit_and_stepwise_the_first_error(tmp_path: Path) -> None:
    paths = world(tmp_path, c=NAMED["sound"], w=NAMED["at 0"], v=NAMED["at 1"])
    moved = [row | ({"is_pit": row["step_index"] == 0, "fall_low": 0.5} if row["solution_id"] == "w" else {})
             for row in read_rows(paths["steps"])]
    write_rows(paths["steps"], moved, STEPS.schema)
    stepwise, modes, left = kept(paths, tmp_path)
    assert (stepwise, modes) == (["c", "v"], ["full_vs_truncated"]) and left["stepwise"] == {"judge_disagrees": 1}
    assert left["step_pairs"] == {"no_pit": 6, "no_better_step": 1}


def test_solution_that_the_judge_did_not_read_or_saw_in_other_steps_is_left_out(tmp_path: Path) -> None:
    paths = world(tmp_path, c=judged("sound", steps=2), v=NAMED["at 1"])
    stepwise, modes, left = kept(paths, tmp_path)
    assert (stepwise, modes) == (["v"], []) and left["stepwise"] == {"not_judged": 2}
    assert left["step_pairs"] == {"no_pit": 6, "not_judged": 2}


def test_what_is_unsound_and_disputed_is_counted_once(tmp_path: Path) -> None:
    paths = world(tmp_path, c=NAMED["at 1"], w=NAMED["at 1"], v=NAMED["at 1"])
    recipe = Recipe.model_validate(RECIPE | {"release": {"consensus": True, "unsound_positives": "drop"}})
    left = account_for(["stepwise"], paths, options(recipe), tmp_path, "256MiB")
    assert left.excluded == {"stepwise": {"unsound": 1}}


def test_without_consensus_the_judge_decides_nothing_here(tmp_path: Path) -> None:
    paths = world(tmp_path, c=NAMED["sound"], w=NAMED["at 0"])
    assert len(published(paths, tmp_path, "stepwise")) == 3 and len(published(paths, tmp_path, "step_pairs")) == 2


# of 8 rollouts after each step, or None where there are none; the verdict comes last
@pytest.mark.parametrize(("won", "first_error"), [
    ([6, 2, 1.0], -1), ([6, 0, 1.0], -1), ([0, 0, 1.0], -1), ([6, 0, 0.0], 1), ([0, 0, 0.0], 0), ([6, 2, 0.0], 2),
    ([0, 3, 0.0], 2), ([6, None, 0.0], None), ([None, 0, 0.0], None), ([None, 6, 0.0], 2), ([0, None, 0.0], 0),
    ([None, None, 0.0], None), ([None, None, 1.0], -1), ([1.0], -1), ([0.0], 0), ([6, 0, None], 1),
    ([6, 1, None], None),
])
def test_first_error_of_rollouts_is_the_first_step_from_which_none_succeeds(
    won: list[float | None], first_error: int | None, tmp_path: Path
) -> None:
    rows = []
    for index, share in enumerate(won):
        counted = isinstance(share, int)
        rows.append(filled(
            "steps", solution_id="x", problem_id="p", step_index=index, step="s", start=index, end=index + 1,
            splitter="newline", rollouts=8 if counted else 0, successes=share if counted else 0,
            q=share / 8 if counted else share, estimator="fixed_n",
            passing_rollouts=0, passing_successes=0, is_pit=False))
    write_rows(tmp_path / "steps.parquet", rows, STEPS.schema)
    write_rows(tmp_path / "judgements.parquet", [], JUDGEMENTS.schema)
    with duckdb.connect() as connection:
        for name in ("steps", "judgements"):
            connection.from_parquet(str(tmp_path / f"{name}.parquet")).create_view(name)
        connection.execute(load_sql("stepforge.builders.configs", "first_errors"))
        [rollouts_error] = connection.execute("SELECT rollouts_error FROM first_error").fetchall()
    assert rollouts_error == (first_error,)


def test_each_stepwise_row_holds_what_it_holds_without_consensus(tmp_path: Path) -> None:
    paths = world(tmp_path, c=NAMED["sound"], w=NAMED["at 1"], v=NAMED["at 0"])
    every = {row["solution_id"]: row for row in published(paths, tmp_path, "stepwise")}
    agreed = published(paths, tmp_path, "stepwise", consensus=True)
    assert [row["solution_id"] for row in agreed] == ["c", "w"]
    assert all(row == every[row["solution_id"]] for row in agreed)
    assert list(read_rows(tmp_path / "stepwise.parquet")) == agreed
