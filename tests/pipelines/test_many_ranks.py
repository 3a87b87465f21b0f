"""A thousand ranks on two workers: the rows of one rank, and no files that nobody reads."""

import json
import random
from pathlib import Path

import pytest
from helpers.runs import execute, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TASKS = 1000


def recipe(samples: Path, executor: dict) -> dict:
    return {"name": "many", "problems": [{"source": "files", "paths": [str(samples)]}],
            "generators": [{"name": "g", "engine": "recorded", "paths": [str(samples)],
                            "columns": {"problem": "problem", "solutions": "solutions"}}],
            "deduplicate": {"near_problems": None}, "executor": executor, "release": {"to": None}}


def write_samples(path: Path) -> Path:
    """1,500 problems with three solutions each, one of them wrong."""
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(1500):
            more = draw.randrange(50)
            texts = [f"{number} + {more} = {number + more + wrong}\nThe answer is {number + more + wrong}"
                     for wrong in (0, 0, 1)]
            file.write(json.dumps({"problem": f"What is {number} plus {more}?", "answer": str(number + more),
                                   "solutions": texts}) + "\n")
    return path


def test_a_thousand_ranks_make_the_rows_of_one_and_leave_nothing_behind(tmp_path):
    samples = write_samples(tmp_path / "samples.jsonl")
    execute(recipe(samples, {"tasks": 1, "workers": 1}), tmp_path / "one", last="deduplicate")
    execute(recipe(samples, {"tasks": TASKS, "workers": 2}), tmp_path / "many", last="deduplicate")
    for name in ("solutions", "verdicts", "duplicates"):
        assert rows(tmp_path / "many", name) == rows(tmp_path / "one", name)
    assert len(rows(tmp_path / "many", "verdicts")) == 4500
    left = [sum(path.is_file() for path in (tmp_path / run).rglob("*")) for run in ("one", "many")]
    assert left[0] == left[1]
