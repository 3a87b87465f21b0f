"""A finished run with sound, wrong and hostile solutions; each test has its own copy."""

import json
import shutil
from collections import Counter

import pytest
from helpers.audits import GENERATOR, HOSTILE, solutions
from helpers.runs import execute, rows


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    lines = []
    for i, hostile in enumerate(HOSTILE):
        lines.append(json.dumps({"problem": f"{hostile} What is {i} + {2 * i}?", "answer": str(3 * i),
                                 "reference": hostile, "solution": solutions(i, 2 * i, hostile)}))
    (folder / "p.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {"source": "files", "paths": [str(folder / "p.jsonl")],
              "columns": {"problem": "problem", "answer": "answer", "reference_solution": "reference"}}
    return {"name": "people", "problems": [source], "executor": {"tasks": 1, "workers": 1},
            "generators": [{"name": GENERATOR, "engine": "recorded", "paths": source["paths"],
                            "columns": {"solutions": "solution"}}]}


@pytest.fixture(scope="session")
def finished(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "people"
    execute(recipe, folder)
    assert Counter((row["verdict"], row["soundness"]) for row in rows(folder, "verdicts")) == {
        ("correct", "undecided"): 36, ("correct", "unsound"): 12, ("incorrect", "undecided"): 12}
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "people")
