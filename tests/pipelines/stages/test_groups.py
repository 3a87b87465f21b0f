"""Groups of problems: the largest 50 of a kind, the others as one; all of them in a table of the release."""

import json
from pathlib import Path

import pytest
from helpers.runs import execute, rows

from stepforge.builders.parquet import read_rows
from stepforge.pipelines.views.measures import measure_tables

SUBJECTS = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 subjects: one problem each, and one more in the first ten; answers are right for even subjects."""
    folder = tmp_path_factory.mktemp("groups")
    lines = [{"problem": f"What is {n} plus {n + again} in Ur?", "answer": str(2 * n + again), "subject": f"s{n:02d}",
              "solution": f"#### {2 * n + again + n % 2}"} for n in range(SUBJECTS) for again in range(1 + (n < 10))]
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    execute({"name": "own", "deduplicate": {"near_problems": None},
             "problems": [{"source": "files", "paths": [str(folder / "own.jsonl")],
                           "columns": {"problem": "problem", "answer": "answer", "subject": "subject"}}],
             "generators": [{"name": "me", "engine": "recorded", "paths": [str(folder / "own.jsonl")]}],
             "release": {"splits": {}, "configs": ["positives", "problems"]}, "executor": {"tasks": 1, "workers": 1}},
            folder / "run")
    return folder / "run"


def coverage(measures: list[dict]) -> dict[str, tuple[float, int]]:
    return {row["group"]: (row["value"], row["n"]) for row in measures
            if row["by"] == "subject" and row["measure"] == "coverage" and row["k"] == 1}


def test_the_manifest_shows_the_largest_and_the_others_as_one(run: Path) -> None:
    manifest = json.loads((run / "release/stepforge.json").read_text())
    shown = coverage(manifest["measures"])
    assert len(shown) == 51 and {f"s{n:02d}" for n in range(50)} == shown.keys() - {"the other 10"}
    assert shown["the other 10"] == (0.5, 10) and shown["s03"] == (0.0, 2)


def test_every_group_is_in_the_runs_table_and_in_the_releases(run: Path) -> None:
    assert len(coverage(rows(run, "measures"))) == SUBJECTS + 1
    assert {row["by"] for row in rows(run, "measures")} == {"all", "subject"}, "one source is no group of its own"
    path = run / "release/assets/measures.parquet"
    assert list(read_rows(path)) == rows(run, "measures")
    assert "assets/measures.parquet" in json.loads((run / "release/stepforge.json").read_text())["files"]


def test_card_and_terminal_stay_short(run: Path) -> None:
    card = (run / "release/README.md").read_text()
    assert card.count("\n") < 300 and "s59" not in card and "assets/measures.parquet" in card
    columns = [column for table in measure_tables(run, "subject") for column in table.columns]
    named = {str(cell) for column in columns for cell in column.cells}
    assert not any("s59" in text for text in named) and any("the other 10" in text for text in named)
