"""Near-duplicate problems share a group, others do not, and made-up problems keep the groups of their source."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from helpers.runs import rows

from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import problems
from stepforge.pipelines.stages.problems.grouping import linked

DATA = os.environ.get("STEPFORGE_TEST_DATA")


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "STAGES", (problems.STAGE,))

    def run(source, **deduplicate):
        recipe = {"name": "r", "problems": [source], "deduplicate": deduplicate,
                  "generators": [{"name": "tiny", "engine": "embedded"}]}
        plan.run(Recipe.model_validate(recipe), tmp_path / "run", plan.silent, lambda planned, account: None)
        return rows(tmp_path / "run", "seeds")

    return run


def test_a_reworded_problem_joins_the_group_and_another_does_not(seeds, tmp_path):
    texts = ["A cafe has 9 indoor tables and 11 outdoor tables with 3 chairs each. How many chairs are there in all?",
             "A bar has 4 indoor tables and 12 outdoor tables with 5 chairs each. How many chairs are there in all?",
             "A bar has 7 indoor tables and 10 outdoor tables with 2 chairs each. How many chairs are there now?",
             "Ann has 12 pears and gives away 5 of them to Ben in the evening. How many pears has she left?"]
    file = tmp_path / "problems.jsonl"
    file.write_text("\n".join(json.dumps({"problem": text, "answer": "1"}) for text in texts))
    source = {"source": "files", "paths": [str(file)]}
    groups = [row["group_id"] for row in seeds(source)]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert [row["problem"] for row in rows(tmp_path / "run", "seeds")] == texts, "in the old order"
    assert len({row["group_id"] for row in seeds(source, near_problems=None)}) == 4


@pytest.mark.parametrize("name", ["arithmetic", "star_graph", "terse_teacher"])
def test_made_up_problems_keep_their_groups(seeds, name):
    source = {"source": name, "limit": 20}
    assert [row["group_id"] for row in seeds(source)] == [row["group_id"] for row in seeds(source, near_problems=None)]


def test_links_lead_to_the_least_name():
    assert linked([("c", "d"), ("b", "c"), ("x", "y"), ("b", "a"), ("d", "a")]) == {
        "b": "a", "c": "a", "d": "a", "y": "x"}


@pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with real problems")
def test_gsm8k_has_few_near_duplicates(seeds):
    """Tables of a cafe and of a bakery, Oreos asked for from either side, cassettes of Amanda and of Josie."""
    path = str(Path(DATA, "gsm8k_train.jsonl"))
    apart, merged = (Counter(row["group_id"] for row in seeds({"source": "gsm8k", "path": path}, near_problems=near))
                     for near in (None, 0.6))
    assert 3 <= len(apart) - len(merged) <= 10
