"""Rollouts as positives: what their equations say, and what stands behind their answer (helpers/world.py)."""

import pytest
from helpers.world import RECIPE, filled, write_world

from stepforge.builders.configs import build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.build import options
from stepforge.pipelines.stages.config_rows import SPLITS, Making

FINE, UNSOUND, BEHIND = ("unchecked", None, 0), ("unsound", "equations", 0), ("unchecked", None, 4)
ROLLED = {"false": "2 + 2 = 5\n7", "fine": "q\n7", "on": "The answer is 7.\nQuestion: What is 2 + 2?",
          "long": "\\boxed{7}\nso!", "long too": "\\boxed{7}\nyes"}


@pytest.mark.parametrize(("release", "expected"), [
    ({}, {"fine": FINE, "false": UNSOUND, "long": BEHIND, "long too": BEHIND}),
    ({"unsound_positives": "drop"}, {"fine": FINE, "long": BEHIND, "long too": BEHIND}),
    ({"max_behind_answer": 3}, {"fine": FINE, "false": UNSOUND}),
    ({"text_behind_answer": "keep", "unsound_positives": "drop"}, {
        "fine": FINE, "on": ("unchecked", None, 25), "long": BEHIND, "long too": BEHIND}),
    ({"text_behind_answer": "cut", "max_behind_answer": 0}, {
        "fine": FINE, "false": UNSOUND, "on": FINE, "long": FINE})])
def test_a_rollout_is_checked_as_a_sample_before_it_is_a_positive(tmp_path, release, expected):
    tables = write_world(tmp_path) | {name: tmp_path / f"{name}.parquet" for name in ("rollouts", "splits")}
    write_rows(tables["splits"], [{"problem_id": name, "split": "train"} for name in "pz"], SPLITS)
    write_rows(tables["rollouts"], [
        filled("rollouts", rollout_id=name, problem_id="p", solution_id="w", step_index=0, index=index, policy="weak",
               origin="prefix", token_exact=True, seed=1, passed=0, completion=text, finish_reason="stop",
               verdict="correct")
        for index, (name, text) in enumerate(ROLLED.items())], TABLES["rollouts"].schema)
    recipe = Recipe.model_validate(RECIPE | {"release": {
        "rollout_positives": True, "max_positives_per_problem": 50, **release}})
    making = Making(("positives",), tables, options(recipe), recipe.generators, "256MiB")
    build_configs(["positives"], making.inputs(tmp_path), making.options, tmp_path, "256MiB")
    rows = [row for row in read_rows(tmp_path / "positives.parquet") if row["origin"] == "rollout"]
    found = {row["solution_id"]: (row["soundness"], row["checked_by"], row["behind_answer"]) for row in rows}
    assert found == expected
    if release.get("text_behind_answer") == "cut":
        assert {row["solution_id"]: row["completion"] for row in rows} == {
            "false": "a\n2 + 2 = 5\n7", "fine": "a\nq\n7", "on": "a\nThe answer is 7.", "long": "a\n\\boxed{7}"}
