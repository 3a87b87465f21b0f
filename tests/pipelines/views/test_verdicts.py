"""`stepforge verify`: every solution of a file gets a verdict, or its row is left out with a reason."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.views.verdicts import verify_file


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def shown(file: Path, gold: str = "answer", solution: str = "solution", **options: Any) -> str:
    screen = Console(width=200, record=True, file=open("/dev/null", "w"))
    for part in verify_file(file, gold, solution, **options):
        screen.print(part)
    return screen.export_text()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_list_of_solutions_is_judged_one_by_one(tmp_path: Path) -> None:
    file = write(tmp_path / "s.jsonl", [
        {"answer": 5, "solution": ["The answer is 5", "The answer is 6", r"\boxed{5.0}"]},
        {"answer": 5, "solution": repr(["It's 5", "The answer is 6"])},
        {"answer": "6", "solution": "The answer is 6"}, {"answer": "7", "solution": 7.0}])
    shown(file, out=tmp_path / "v.jsonl")
    assert [(row["row"], row["index"], row["verdict"], row["method"]) for row in lines(tmp_path / "v.jsonl")] == [
        ("s.jsonl:1", 0, "correct", "literal"), ("s.jsonl:1", 1, "incorrect", "numeric"),
        ("s.jsonl:1", 2, "correct", "numeric"), ("s.jsonl:2", 0, "correct", "literal"),
        ("s.jsonl:2", 1, "incorrect", "numeric"), ("s.jsonl:3", None, "correct", "literal"),
        ("s.jsonl:4", None, "correct", "numeric")]


@pytest.mark.parametrize(("row", "reason", "message"), [
    ('{"answer": "5", "solution": ', "malformed", "not JSON"),
    ('["5"]', "malformed", "a list where an object is expected"),
    ({"answer": "5"}, "malformed", "no column 'solution', which the first row has"),
    ({"answer": "5", "solution": None}, "no_solution", "--solution 'solution' holds nothing"),
    ({"answer": "5", "solution": []}, "no_solution", "holds an empty list"),
    ({"answer": "5", "solution": ["The answer is 5", {"content": "5"}]}, "solution_not_text", "holds an object"),
    ({"answer": "5", "solution": [["The answer is 5"]]}, "solution_not_text", "holds a list"),
    ({"answer": "5", "solution": False}, "solution_not_text", "holds true or false"),
    ({"answer": ["5"], "solution": "5"}, "gold_not_text", "--gold 'answer' holds a list"),
    ({"answer": {"value": 5}, "solution": "5"}, "gold_not_text", "--gold 'answer' holds an object"),
    ({"answer": "['5']", "solution": "5"}, "gold_not_text", "--gold 'answer' holds a list"),
    ({"answer": "5", "solution": "['5' '6']"}, "malformed", "a list as numpy or pandas prints it"),
    ({"answer": True, "solution": "5"}, "gold_not_text", "--gold 'answer' holds true or false"),
])
def test_row_that_cannot_be_judged_is_left_out_with_a_reason(row: Any, reason: str, message: str, tmp_path: Path
                                                             ) -> None:
    good = {"answer": "5", "solution": "The answer is 5"}
    text = shown(write(tmp_path / "s.jsonl", [good, row, good]))
    assert re.search(rf"left out, {reason}: 1; the first is s.jsonl:2: .*{re.escape(message)}", text)
    assert re.search(r"correct +│ +│ literal +│ [23] ", text)


@pytest.mark.parametrize("rows", [[], ["{"], [{"answer": "5", "solution": None}], [{"answer": [], "solution": ""}]])
def test_file_without_anything_to_judge_is_an_error_and_leaves_nothing(rows: list[Any], tmp_path: Path) -> None:
    file = write(tmp_path / "s.jsonl", rows)
    with pytest.raises(UserError, match=r"s\.jsonl has no solution that can be judged: "):
        shown(file, out=tmp_path / "v.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["s.jsonl"]


def test_summary_counts_by_method_and_reason_and_names_golds_without_an_answer(tmp_path: Path) -> None:
    rows = [{"answer": gold, "solution": ["The answer is 5", "no idea"]} for gold in ("5", "proof", None, "")]
    text = shown(write(tmp_path / "s.jsonl", rows))
    assert re.search(r"correct +│ +│ literal +│ 1 ", text)
    assert re.search(r"undecided +│ gold_unparseable +│ none +│ \d ", text)
    assert "3 rows have a gold without an answer, such as 'proof', ''" in text


@pytest.mark.parametrize(("options", "message"), [
    ({"gold": "gold"}, r"--gold 'gold': no such column; s.jsonl:1 has 'answer', 'solution'"),
    ({"solution": "text"}, r"--solution 'text': no such column"),
    ({"out": "v.csv"}, r"--out .*v.csv: give a file that is not the input and ends in .jsonl or .parquet"),
    ({"out": "s.jsonl"}, r"--out .*s.jsonl: give a file that is not the input"),
    ({"verifier": "maths"}, r"'maths' is neither math nor module:function"),
    ({"verifier": "absent:verify"}, r"'absent' cannot be imported"),
])
def test_mistake_names_the_option(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "s.jsonl", [{"answer": "5", "solution": "The answer is 5"}])
    if "out" in options:
        options = options | {"out": tmp_path / options["out"]}
    with pytest.raises(UserError, match=message) as error:
        shown(file, **options)
    assert "recipe" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["s.jsonl"]


def test_parquet_in_and_out(tmp_path: Path) -> None:
    pq.write_table(pa.table({"gold": [5.0, float("nan")], "outputs": [["The answer is 5", None], ["I give up"]]}),
                   tmp_path / "s.parquet")
    text = shown(tmp_path / "s.parquet", "gold", "outputs", out=tmp_path / "v.parquet")
    assert [(row["row"], row["index"], row["verdict"], row["reason"]) for row in read_rows(
        tmp_path / "v.parquet")] == [("s.parquet:0", 0, "correct", None),
                                     ("s.parquet:1", 0, "undecided", "gold_unparseable")]
    assert "left out, no_solution: 1" in text


def test_csv_and_a_verifier_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shout.py").write_text("from stepforge.pipelines.answers import Verdict\nVERSION = 1\ndef verify(claim):\n"
                                "    same = claim.gold.upper() == claim.solution.upper()\n"
                                "    return Verdict(claim.solution, claim.solution.upper(), 'correct' if same else "
                                "'incorrect', None, 'shout')\n")
    Path("s.csv").write_text('answer,solution\nyes,YES\nyes,"a\nb"\nyes\n')
    text = shown(Path("s.csv"), out=Path("v.jsonl"), verifier="shout:verify")
    assert [row["answer_key"] for row in lines(Path("v.jsonl"))] == ["YES", "A\nB"]
    assert re.search(r"correct +│ +│ shout +│ 1 ", text) and "left out, malformed: 1" in text


def test_text_of_a_file_cannot_move_the_cursor(tmp_path: Path) -> None:
    text = shown(write(tmp_path / "s.jsonl", [{"answer": "\x1b[2Jproof", "solution": "[red]5"},
                                              {"answer": "None", "solution": "5"}]))
    assert "\x1b" not in text
