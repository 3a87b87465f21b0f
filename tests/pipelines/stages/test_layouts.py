"""Every layout of helpers/layouts.py, by mapping alone, to a checked release; and real files of each layout."""

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


def run(layout, file, beside, folder):
    """Rows of tables by name, once the release was checked and the run has given what is expected of the layout."""
    text = layout.recipe.replace("FILE", str(file)).replace("BESIDE", str(beside))
    execute(yaml.safe_load(text.replace("PUBLISHED", str(folder / "published"))), folder / "run")
    assert check(f"local:{folder / 'published'}@v1.0.0") == []
    tables = {name: rows(folder / "run", name) for name in ("problems", "solutions", "verdicts")}
    drops = folder / "run/tables/drops/problems.parquet"
    dropped = rows(folder / "run", "drops/problems") if drops.exists() else []
    assert Counter(row["reason"] for row in dropped) == layout.drops
    lost = sum(count for reason, count in layout.drops.items() if reason != "duplicate")
    warnings = read_state(folder / "run")["problems"]["facts"].get("warnings", [])
    assert [" rows are dropped, most of them (" in line for line in warnings] == [True] * (2 * lost > len(layout.rows))
    assert len(tables["problems"]) == layout.problems and {row["split"] for row in tables["problems"]} == {"train"}
    assert "".join(sorted(row["verdict"][0] for row in tables["verdicts"])) == layout.verdicts
    negatives = (folder / "run/release/negatives").glob("*.parquet")
    assert sum(map(count_rows, negatives)) == layout.negatives
    return tables


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_becomes_a_checked_release(name, tmp_path):
    layout = LAYOUTS[name]
    assert len(layout.recipe.strip().splitlines()) <= 15
    (tmp_path / "rows.jsonl").write_text(layout.text())
    (tmp_path / "beside.jsonl").write_text("\n".join(map(json.dumps, layout.beside)))
    tables = run(layout, tmp_path / "rows.jsonl", tmp_path / "beside.jsonl", tmp_path)
    assert [row | layout.told[n] for n, row in enumerate(tables["solutions"][:len(layout.told)])
            ] == tables["solutions"][:len(layout.told)]


def test_published_release_is_a_source_of_problems_and_samples(tmp_path):
    layout = LAYOUTS["generator_column"]
    (tmp_path / "rows.jsonl").write_text(layout.text())
    first = run(layout, tmp_path / "rows.jsonl", "", tmp_path)
    release = tmp_path / "published/v1.0.0"
    execute(yaml.safe_load(f"""
        name: again
        problems:
          - source: files
            paths: [{release}/problems]
            columns: {{problem: problem, answer: answer, source_id: problem_id, group_id: group_id}}
            split: validation
        generators:
          - name: again
            engine: recorded
            paths: [{release}/solutions]
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
@pytest.mark.parametrize("name", LAYOUTS)
def test_real_layout_becomes_a_checked_release(name, tmp_path):
    folder = Path(DATA) / "layouts"
    beside = folder / "batch_problems.jsonl"
    if LAYOUTS[name].beside and name != "batch_output":
        beside = tmp_path / "beside.jsonl"
        texts = map(json.loads, (folder / "nan_in_another_column.jsonl").read_text().splitlines())
        beside.write_text("\n".join(json.dumps({k: row[k] for k in ("problem", "solution")}) for row in texts))
    run(LAYOUTS[name], folder / f"{name}.jsonl", beside, tmp_path)
