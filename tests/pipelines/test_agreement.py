"""A release whose configs do not say the same of one solution is found out, whatever its checksums say."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.runs import SMALL, execute

from stepforge.builders.release import read_manifest, write_manifest
from stepforge.cards.check import check_folder

Row = dict[str, Any]
Change = Callable[[list[Row]], Any]


@pytest.fixture(scope="module")
def sound(small_run: Path) -> Path:
    return small_run / "release"


def spoil(folder: Path, config: str, change: Change) -> None:
    """Change the rows of one file and let the manifest state its checksum, as if the release was built so."""
    path = f"{config}/train-00000-of-00001.parquet"
    schema = pq.read_schema(folder / path)
    rows = pq.read_table(folder / path).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / path)
    data, manifest = (folder / path).read_bytes(), read_manifest(folder)
    manifest["files"][path] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": len(rows)}
    manifest["configs"][config]["rows"]["train"] = len(rows)
    write_manifest(folder, manifest)


def moved(*columns: str) -> Change:
    """Every value stands one row too high."""
    def change(rows: list[Row]) -> None:
        for column in columns:
            values = [row[column] for row in rows]
            for row, value in zip(rows, [*values[1:], values[0]], strict=True):
                row[column] = value

    return change


def each(column: str, changed: Callable[[Any], Any]) -> Change:
    return lambda rows: [row.update({column: changed(row[column])}) for row in rows]


def swapped(one: str, other: str) -> Change:
    return lambda rows: [row.update({one: row[other], other: row[one]}) for row in rows]


def flipped(rows: list[Row]) -> None:
    """The verdict of a solution that no other config uses: a duplicate, correct or not."""
    row = next(row for row in rows if row["duplicate"])
    row["verdict"] = "incorrect" if row["verdict"] == "correct" else "correct"


def turned(values: list) -> list:
    return values[1:] + values[:1]


CASES = [
    ("positives", moved("completion"), "a text is not that of its solution"),
    ("positives", moved("prompt"), "a prompt does not contain its problem"),
    ("positives", moved("problem_id"), "a solution is of another problem than its row"),
    ("positives", each("generator", lambda name: "other"), "a generator is not that of its solution"),
    ("positives", each("completion", lambda text: text.replace("=", "\u2248")), "a text is not that of its solution"),
    ("positives", each("completion", lambda text: text[1:]), "a text is not that of its solution"),
    ("positives", each("complete", lambda ended: not ended), "a text ends otherwise than its solution"),
    ("pairs", swapped("chosen", "rejected"), "a text is not that of its solution"),
    ("pairs", swapped("chosen_id", "rejected_id"), "a solution has another verdict than its place demands"),
    ("pairs", each("chosen_generator", lambda name: "other"), "a generator is not that of its solution"),
    ("pairs", each("rejected_complete", lambda ended: not ended), "a text ends otherwise than its solution"),
    ("step_pairs", swapped("chosen", "rejected"), "a rejected text does not end with the pit of its solution"),
    ("step_pairs", swapped("q_chosen", "q_rejected"), "a rejected text is worth more than the chosen one"),
    ("step_pairs", each("pit_index", lambda at: at + 1), "a rejected text does not end with the pit of its solution"),
    ("step_pairs", each("q_rejected", lambda q: q + 0.01), "or has another value"),
    ("negatives", each("pit_index", lambda at: None if at is None else at + 1), "a pit is not that of the steps"),
    ("solutions", moved("solution"), "a text is not that of its solution"),
    ("solutions", flipped, "a pass rate is not that of the verdicts"),
    ("problems", moved("answer"), "an answer is not that of its problem"),
    ("problems", moved("generators"), "a pass rate is not that of the verdicts"),
    ("rl", moved("answer"), "an answer is not that of its problem"),
    ("rl", moved("prompt"), "a prompt does not contain its problem"),
    ("rl", moved("pass_rate", "n_samples"), "a pass rate is not that of its problem"),
    ("stepwise", each("completions", turned), "the steps of a row do not join to its solution"),
    ("stepwise", each("successes", turned), "counts of rollouts are not those of the steps"),
    ("weighted", each("ends", lambda ends: [*(end - 1 for end in ends[:-1]), ends[-1]]), "cut where its steps end"),
    ("weighted", each("weights", turned), "a step with a larger advantage weighs less"),
    ("steps", each("step_index", lambda at: at + 1), "the steps of a solution do not join to its text"),
    ("steps", lambda rows: rows.pop(1), "the steps of a solution do not join to its text"),
    ("steps", moved("start", "end"), "a step does not stand where it says"),
    ("steps", moved("q"), "an advantage is not the difference of two values"),
    ("steps", each("q_low", lambda low: None if low is None else low + 1), "not within its interval"),
    ("rollouts", each("verdict", {"correct": "incorrect", "incorrect": "correct"}.get), "more rollouts reach"),
    ("rollouts", moved("step_index"), "more rollouts reach the answer"),
]


@pytest.mark.parametrize(("config", "change", "says"), CASES, ids=[f"{name}: {says}" for name, _, says in CASES])
def test_configs_that_disagree_are_found(sound: Path, tmp_path: Path, config: str, change: Change, says: str) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "release"))
    spoil(folder, config, change)
    assert any(says in problem.what for problem in check_folder(folder)), check_folder(folder)


def test_a_text_in_two_splits_is_found(sound: Path, tmp_path: Path) -> None:
    test = pq.read_table(sound / "problems/test-00000-of-00001.parquet").to_pylist()[0]
    folder = Path(shutil.copytree(sound, tmp_path / "release"))
    spoil(folder, "problems", lambda rows: rows[0].update(problem=f" {test['problem'].upper()}"))
    assert "the text of a problem is in more than one split" in {problem.what for problem in check_folder(folder)}


def test_releases_agree_with_themselves_under_options_that_change_rows(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "small"))
    for release in ({"rollout_positives": True, "rollout_negatives": True, "max_positives_per_problem": 50},
                    {"rollout_positives": True, "configs": ["positives", "unpaired", "solutions", "problems"]},
                    {"text_behind_answer": "cut", "max_behind_answer": 0, "after_pit": "keep", "keep_truncated": True},
                    {"configs": ["solutions", "problems", "positives_chat", "pairs_chat", "rl_verl", "rl_chat"]}):
        execute(SMALL | {"release": SMALL["release"] | release}, run)
        assert check_folder(run / "release") == [], release


def test_a_rollout_in_the_place_of_a_solution_is_checked_too(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "small"))
    options = {"rollout_positives": True, "max_positives_per_problem": 50}
    execute(SMALL | {"release": SMALL["release"] | options}, run)
    folder = run / "release"
    spoil(folder, "positives", lambda rows: moved("completion")([row for row in rows if row["origin"] == "rollout"]))
    assert {problem.what for problem in check_folder(folder)} == {"a text is not that of its rollout"}
    rollouts = {row["solution_id"] for row in pq.read_table(folder / "positives").to_pylist() if
                row["origin"] == "rollout"}
    spoil(folder, "rollouts", lambda rows: [row.update(verdict="incorrect") for row in rows
                                            if row["rollout_id"] in rollouts])
    assert "a rollout has another problem or verdict than its place demands" in {
        problem.what for problem in check_folder(folder)}
