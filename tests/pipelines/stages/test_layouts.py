"""Every layout of helpers/layouts.py, by mapping alone, to verdicts and a checked release; and real files of each."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers.layouts import LAYOUTS
from helpers.runs import execute, rows

from stepforge.builders.parquet import count_rows
from stepforge.cards.check import check
from stepforge.pipelines.plan import read_state

DATA = os.environ.get("STEPFORGE_TEST_DATA")
QUICK = ("openr1", "step_values", "nested_question_labels")  # released and, as real files, read in the fast tier too
RELEASED = [name if name in QUICK or layout.negatives else pytest.param(name, marks=pytest.mark.slow)
            for name, layout in LAYOUTS.items()]
REAL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS]


def read(layout, file, beside, folder, last="verify"):
    """Rows of tables by name, once the run, up to `last`, has given what is expected of the layout."""
    text = layout.recipe.replace("FILE", str(file)).replace("BESIDE", str(beside))
    execute(yaml.safe_load(text.replace("PUBLISHED", str(folder / "published"))), folder / "run", last)
    tables = {name: rows(folder / "run", name) for name in ("problems", "solutions", "verdicts")}
    drops = folder / "run/tables/drops/problems.parquet"
    dropped = rows(folder / "run", "drops/problems") if drops.exists() else []
    assert Counter(row["reason"] for row in dropped) == layout.drops
    lost = sum(count for reason, count in layout.drops.items() if reason != "duplicate")
    warnings = read_state(folder / "run")["problems"]["facts"].get("warnings", [])
    assert [" rows are dropped, most of them (" in line for line in warnings] == [True] * (2 * lost > len(layout.rows))
    assert len(tables["problems"]) == layout.problems and {row["split"] for row in tables["problems"]} == {"train"}
    assert "".join(sorted(row["verdict"][0] for row in tables["verdicts"])) == layout.verdicts
    return tables


def release(layout, file, beside, folder):
    """As `read`, once the release was checked, too."""
    tables = read(layout, file, beside, folder, "publish")
    assert check(f"local:{folder / 'published'}@v1.0.0") == []
    negatives = (folder / "run/release/negatives").glob("*.parquet")
    assert sum(map(count_rows, negatives)) == layout.negatives
    return tables


def write(layout, folder):
    (folder / "rows.jsonl").write_text(layout.text())
    (folder / "beside.jsonl").write_text("\n".join(map(json.dumps, layout.beside)))
    return layout, folder / "rows.jsonl", folder / "beside.jsonl", folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_read_and_judged(name, tmp_path):
    layout = LAYOUTS[name]
    assert len(layout.recipe.strip().splitlines()) <= 15
    tables = read(*write(layout, tmp_path))
    assert [row | layout.tells[n] for n, row in enumerate(tables["solutions"][:len(layout.tells)])
            ] == tables["solutions"][:len(layout.tells)]


@pytest.mark.parametrize("name", RELEASED)
def test_layout_becomes_a_checked_release(name, tmp_path):
    release(*write(LAYOUTS[name], tmp_path))


def test_published_release_is_a_source_of_problems_and_samples(tmp_path):
    first = release(*write(LAYOUTS["generator_column"], tmp_path))
    published = tmp_path / "published/v1.0.0"
    execute(yaml.safe_load(f"""
        name: again
        problems:
          - source: files
            paths: [{published}/problems]
            columns: {{problem: problem, answer: answer, source_id: problem_id, group_id: group_id}}
            split: validation
        generators:
          - name: again
            engine: recorded
            paths: [{published}/solutions]
            join: problem_id
            columns: {{solution: solution, generator: generator, complete: complete, upstream_verdict: verdict}}
        """), tmp_path / "again")
    assert [row["problem_id"] for row in rows(tmp_path / "again", "problems")] == [
        row["problem_id"] for row in first["problems"]]
    verdicts = {row["solution_id"]: row["verdict"] for row in rows(tmp_path / "again", "verdicts")}
    solutions = rows(tmp_path / "again", "solutions")
    assert len(solutions) == 6 and {row["generator"] for row in solutions} == {"small-1b", "large-7b"}
    assert all(verdicts[row["solution_id"]] == row["upstream_verdict"] for row in solutions)
    assert sorted(path.name[:10] for path in (tmp_path / "again/release/positives").glob("*")) == ["validation"]


@pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with files of other people's layouts")
@pytest.mark.parametrize("name", REAL)
def test_real_layout_becomes_a_checked_release(name, tmp_path):
    folder = Path(DATA) / "layouts"
    beside = folder / "batch_problems.jsonl"
    if LAYOUTS[name].beside and name != "batch_output":
        beside = tmp_path / "beside.jsonl"
        texts = map(json.loads, (folder / "nan_in_another_column.jsonl").read_text().splitlines())
        beside.write_text("\n".join(json.dumps({k: row[k] for k in ("problem", "solution")}) for row in texts))
    release(LAYOUTS[name], folder / f"{name}.jsonl", beside, tmp_path)
