"""First errors of solutions in steps: what is read, what a threshold finds, and what is measured."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForTokenClassification, AutoTokenizer

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference import sample as sampling
from stepforge.train import processbench as bench
from stepforge.train.evaluate import main
from stepforge.train.processbench import (
    Threshold,
    best_threshold,
    choose_threshold,
    first_error,
    judge_solutions,
    measure,
    read_solutions,
    score_solutions,
)

GOOD = {"id": "sum-1", "problem": "Add 2, 3 and 4.", "steps": ["2 + 3 = 6", "6 + 4 = 10\n", "It is 10."], "label": 0}


def written(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def test_steps_end_in_line_breaks_and_labels_are_numbers(tmp_path: Path) -> None:
    unnamed = {"problem": "P?", "steps": ["1"], "label": -1}
    rows, drops = read_solutions(written(tmp_path / "a.jsonl", GOOD, unnamed))
    assert not drops and [row["label"] for row in rows] == [0, -1]
    assert rows[0]["steps"] == ["2 + 3 = 6\n", "6 + 4 = 10\n", "It is 10."] and rows[0]["id"] == "sum-1"
    assert rows[1]["id"] == "a.jsonl:2"
    (tmp_path / "a.json").write_text(json.dumps([GOOD, GOOD, GOOD]))
    assert len(read_solutions(str(tmp_path / "a.json"), limit=2)[0]) == 2


@pytest.mark.parametrize(("change", "reason"), [
    ({"label": False}, "no_label"), ({"label": True}, "no_label"), ({"label": None}, "no_label"),
    ({"label": 3}, "no_label"), ({"label": -2}, "no_label"), ({"label": "two"}, "no_label"),
    ({"label": 0.5}, "no_label"),
    ({"steps": []}, "no_steps"), ({"steps": "2 + 3 = 6"}, "no_steps"), ({"steps": ["1", " "]}, "no_steps"),
    ({"steps": ["1", None]}, "no_steps"), ({"problem": " "}, "no_problem"), ({"problem": None}, "no_problem"),
])
def test_row_that_cannot_be_used_is_counted_with_its_reason(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    rows, drops = read_solutions(written(tmp_path / "a.jsonl", GOOD, GOOD | change, "{broken"))
    assert len(rows) == 1 and drops == {reason: 1, "malformed": 1}


@pytest.mark.parametrize(("name", "rows", "message"), [
    ("a.jsonl", [GOOD | {"label": True}], "none of its 1 rows .* a.jsonl:1: `label` is True; .* from 0 to 2, or -1"),
    ("a.jsonl", [], "none of its 0 rows"), ("a.txt", [GOOD], "--path"),
])
def test_file_of_another_kind_is_explained(name: str, rows: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_solutions(written(tmp_path / name, *rows))
    with pytest.raises(UserError, match="--path"):
        read_solutions(str(tmp_path / "absent.jsonl"))


def solution(label: int, *scores: float, **more: Any) -> dict[str, Any]:
    return {"id": str(scores), "problem": "P?", "steps": ["1\n"] * len(scores), "label": label,
            "step_scores": list(scores), "too_long": False} | more


@pytest.mark.parametrize(("threshold", "step"), [(0.5, 2), (0.9, 1), (0.91, 0), (0.3, -1), (0.2, -1)])
def test_first_step_below_the_threshold_is_the_error(threshold: float, step: int) -> None:
    assert first_error([0.9, 0.6, 0.3], threshold) == step


def test_shares_and_their_harmonic_mean_by_hand() -> None:
    rows = [solution(1, 0.9, 0.2), solution(0, 0.9, 0.2), solution(0, 0.6, 0.2), solution(1, 0.4, 0.1),
            solution(-1, 0.9, 0.8), solution(-1, 0.9, 0.4), solution(0, 0.1, too_long=True, step_scores=None)]
    estimates = measure(rows, Threshold(0.5), seed=0)
    assert [row["predicted"] for row in rows] == [1, 1, 1, 0, -1, 1, None]
    wrong, right, f1 = estimates.values()
    assert (wrong.value, wrong.n, wrong.excluded) == (0.25, 4, 1) and (right.value, right.n) == (0.5, 2)
    assert f1.value == pytest.approx(2 * 0.25 * 0.5 / 0.75) and f1.low < f1.value < f1.high
    assert list(estimates) == ["first error found in wrong solutions", "none named in right solutions", "F1"]


def test_best_threshold_is_the_best_of_all() -> None:
    """A second way: F1 by `measure` at every score and between them."""
    rng = random.Random(3)
    for _ in range(20):
        rows = [solution(rng.randrange(-1, 3), *(round(rng.random(), 1) for _ in range(3))) for _ in range(12)]
        rows += [solution(-1, 0.5, 0.7), solution(0, 0.5, 0.7)]
        best = measure(rows, Threshold(best_threshold(rows)), 0)["F1"].value
        assert best == pytest.approx(max(measure(rows, Threshold(step / 20), 0)["F1"].value for step in range(24)))
    assert best_threshold([solution(-1, 0.8), solution(0, 0.3), solution(1, 0.9, 0.5)]) == 0.8


def test_threshold_is_chosen_on_a_share_and_measured_on_the_others() -> None:
    rows = [solution(-1, 0.9, 0.8, id=str(index)) for index in range(40)]
    rows += [solution(1, 0.9, 0.7, id=f"w{index}") for index in range(40)]
    chosen = choose_threshold(rows, 0.3, seed=0)
    tuned = [row["id"] for row in rows if row["tuned"]]
    assert chosen == Threshold(0.8, len(tuned)) and 10 < len(tuned) < 40
    estimates = measure(rows, chosen, 0)
    assert estimates["F1"].value == 1 and estimates["F1"].n == 80 - len(tuned)
    choose_threshold(rows, 0.6, seed=0)
    assert set(tuned) < {row["id"] for row in rows if row["tuned"]}, "a larger share holds the smaller one"
    choose_threshold(rows, 0.3, seed=1)
    assert tuned != [row["id"] for row in rows if row["tuned"]]


@pytest.mark.parametrize(("rows", "share", "message"), [
    ([solution(-1, 0.5)], 0.99, "0 wrong and [01] right"), ([solution(-1, 0.5)], 1.0, "between 0 and 1"),
    ([solution(1, 0.1, 0.2, step_scores=None, too_long=True)], 0.99, "0 wrong and 0 right"),
])
def test_threshold_needs_solutions_of_both_kinds(rows: list[dict[str, Any]], share: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_threshold(rows, share, seed=0)


def test_judge_names_the_first_error_without_being_told_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    critiques = [("Hm.\nFirst error: step 2", True, False), ("First error: none", True, False),
                 ("First error: step 9", True, False), ("First error: step 1", False, False), ("", False, True)]

    def sample(model: str, prompts: list[str], **options: Any) -> list[list[sampling.Sampled]]:
        asked.extend(prompts)
        assert options["temperature"] == 0 and options["skip_too_long"]
        return [[sampling.Sampled(*critique)] for critique in critiques]

    monkeypatch.setattr(bench, "sample", sample)
    rows = [{"id": str(label), "problem": "P?", "steps": ["1\n", "2"], "label": label} for label in (1, -1, -1, 0, 1)]
    judge_solutions(rows, "model")
    assert [row["predicted"] for row in rows] == [1, -1, None, None, None]
    assert rows[0]["critique"] == "Hm.\nFirst error: step 2"
    assert all("nswer:" not in prompt and "Step 2:" in prompt for prompt in asked)
    estimates = measure(rows, None, seed=0)
    wrong, right, f1, unreadable = estimates.values()
    assert (wrong.value, wrong.n, wrong.excluded) == (0.5, 2, 1) and right.value == 0.5 and f1.value == 0.5
    assert (unreadable.value, unreadable.n) == (0.5, 4) and "critiques without a verdict" in estimates


@pytest.fixture(scope="module")
def prm(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prm")
    AutoModelForTokenClassification.from_pretrained(tiny, num_labels=2).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def test_from_the_command_line(prm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, long = tmp_path / "r.jsonl", GOOD | {"steps": ["1 + 1 = 2"] * 300}
    rows = [GOOD | {"id": str(index), "label": index % 3 - 1} for index in range(30)]
    file = written(tmp_path / "a.jsonl", *rows, GOOD | {"label": True}, long)
    main(["--source", "processbench", "--path", file, "--prm", str(prm), "--out", str(out), "--tune", "0.5"])
    said = capsys.readouterr().out
    summary = json.loads(out.with_suffix(".summary.json").read_text())
    assert summary["left_out"] == {"no_label": 1} and summary["threshold_chosen_on"] > 0
    assert f"threshold: {summary['threshold']}" in said and "'no_label': 1" in said
    solutions = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(solutions) == 31 and solutions[-1]["too_long"] and solutions[-1]["predicted"] is None
    assert solutions[0]["predicted"] == first_error(solutions[0]["step_scores"], summary["threshold"])
    main(["--source", "processbench", "--path", file, "--prm", str(prm), "--out", str(out), "--threshold", "0.01"])
    given = json.loads(out.with_suffix(".summary.json").read_text())
    assert (given["threshold"], given["threshold_chosen_on"]) == (0.01, 0)
    assert given["estimates"]["none named in right solutions"]["value"] == 1 and given["estimates"]["F1"]["value"] == 0
    assert given["estimates"]["first error found in wrong solutions"]["excluded"] == 1


def test_solution_that_is_too_long_for_the_judge_is_excluded(tmp_path: Path) -> None:
    """The critique's instructions alone are longer than what the shipped model can read."""
    out, file = tmp_path / "r.jsonl", written(tmp_path / "a.jsonl", GOOD, GOOD | {"label": -1})
    main(["--source", "processbench", "--path", file, "--judge", "tiny", "--out", str(out)])
    estimates = json.loads(out.with_suffix(".summary.json").read_text())["estimates"]
    assert {name: estimate["excluded"] for name, estimate in estimates.items()} == {
        "first error found in wrong solutions": 1, "none named in right solutions": 1, "F1": 2,
        "critiques without a verdict": 0}
    assert not any(estimate["n"] for estimate in estimates.values())


@pytest.mark.parametrize(("options", "message"), [
    (["--prm", "x"], "give the file of solutions with --path"), (["--path", "x"], "give one of them"),
    (["--path", "x", "--prm", "a", "--judge", "b"], "give one of them"),
    (["--path", "x", "--prm", "a", "--model", "b"], "neither --model nor --compare"),
    (["--path", "x", "--prm", "a", "--compare", "b"], "neither --model nor --compare"),
])
def test_arguments_that_do_not_fit_are_told(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--source", "processbench", "--out", str(tmp_path / "r.jsonl"), *options])
    assert message in capsys.readouterr().err


DATA = os.environ.get("STEPFORGE_TEST_DATA")


@pytest.mark.skipif(DATA is None, reason="STEPFORGE_TEST_DATA names no folder of real samples")
def test_real_solutions_are_read_and_those_without_steps_refused(prm: Path) -> None:
    assert DATA is not None
    rows, drops = read_solutions(f"{DATA}/processbench_gsm8k.json")
    assert (len(rows), len(drops), sum(row["label"] == -1 for row in rows)) == (400, 0, 193)
    score_solutions(rows[:20], str(prm), "plain")
    assert all(row["too_long"] or len(row["step_scores"]) == len(row["steps"]) for row in rows[:20])
    with pytest.raises(UserError, match="none of its 400 rows .* `steps` must be a list of texts"):
        read_solutions(f"{DATA}/processbench_math_400.jsonl")
