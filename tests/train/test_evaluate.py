"""Evaluation samples, judges and counts; two result files are compared problem by problem."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepforge.builders.errors import UserError
from stepforge.pipelines.answers import verify
from stepforge.pipelines.inference.step_scores import score_steps
from stepforge.train.evaluate import against, main, outcome, problems, summary
from stepforge.train.prm import main as train_prm


def row(index: int, greedy: bool | None, *samples: tuple[bool | None, str]) -> dict[str, Any]:
    return {"problem_id": str(index), "prompt": "Add.\n", "greedy": {"solution": "", "correct": greedy}, "samples": [
        {"solution": key, "correct": correct, "answer_key": key} for correct, key in samples]}


def test_estimates_are_means_over_problems() -> None:
    rows = [row(0, True, (True, "1"), (True, "1"), (False, "2"), (False, "3")),
            row(1, False, (True, "1"), (False, "2"), (False, "2"), (False, "2"))]
    estimates = summary(rows, seed=0)
    assert list(estimates) == ["greedy pass@1", "pass@1", "pass@2", "pass@4", "maj@1", "maj@2", "maj@4",
                               "false equation, greedy", "false equation, samples"]
    assert estimates["greedy pass@1"].value == 0.5
    assert estimates["pass@1"].value == pytest.approx((0.5 + 0.25) / 2)
    assert estimates["pass@4"].value == 1.0
    assert estimates["maj@4"].value == 0.5


def test_sample_without_a_verdict_does_not_count_and_its_problem_is_excluded_where_too_few_are_left() -> None:
    rows = [row(0, None, (True, "1"), (None, "2")), row(1, True, (False, "1"), (True, "2"))]
    estimates = summary(rows, seed=0)
    assert (estimates["greedy pass@1"].n, estimates["greedy pass@1"].excluded) == (1, 1)
    assert (estimates["pass@1"].value, estimates["pass@1"].excluded) == (0.75, 0)
    assert (estimates["pass@2"].value, estimates["pass@2"].n, estimates["pass@2"].excluded) == (1.0, 1, 1)


@pytest.mark.parametrize(("solution", "correct"), [
    ("The answer is 3.", True), ("The answer is 4.", False), ("I cannot say.", False)])
def test_solution_without_an_answer_is_the_models_own_failure(solution: str, correct: bool) -> None:
    assert outcome(solution, verify("3", solution))["correct"] is correct


def test_undecided_for_our_own_reasons_is_neither() -> None:
    assert outcome("The answer is 3.", verify("", "The answer is 3."))["correct"] is None


def test_models_are_compared_on_the_problems_that_both_solved_or_failed() -> None:
    mine = [row(index, index < 8) for index in range(10)]
    other = [row(index, index < 3) for index in range(9)] + [row(20, True)]
    comparison = against(mine, other, seed=0)
    assert (comparison.n, comparison.only_first, comparison.only_second) == (9, 5, 0)
    with pytest.raises(UserError, match="share no judged problem"):
        against(mine, [row(99, True)], seed=0)


def test_variant_has_new_numbers_and_the_same_wording() -> None:
    (plain, _), (varied, _) = (problems("arithmetic", ["steps=[2,3]"], 20, variant) for variant in (None, 7))
    assert len(plain) == len(varied) == 20
    assert [a["group_id"] for a in plain] == [b["group_id"] for b in varied]
    assert sum(a["answer"] != b["answer"] for a, b in zip(plain, varied, strict=True)) > 10


def test_rows_of_a_file_that_are_no_problem_or_one_twice_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"problem": "1 + 1?", "answer": "2"}, {"problem": "", "answer": "3"}, {"problem": "1 + 2?", "answer": "3"},
            {"problem": "1 + 1?", "answer": "2"}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    given, left_out = problems("file", [f"paths=[{tmp_path / 'mine.jsonl'}]"], 10, None)
    assert [one["problem"] for one in given] == ["1 + 1?", "1 + 2?"]
    assert left_out["duplicate"] == 1 and sum(left_out.values()) == 2
    main(["--model", "tiny", "--source", "file", "--with", f"paths=[{tmp_path / 'mine.jsonl'}]", "--samples", "0",
          "--max_tokens", "4", "--out", str(tmp_path / "r.jsonl")])
    assert json.loads((tmp_path / "r.summary.json").read_text())["left_out"] == dict(left_out)
    assert f"left out: {dict(left_out)}" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "message"), [
    (["--source", "nothing"], "nothing"), (["--with", "steps"], "write key=value"),
    (["--with", "steps=[9,2]"], "steps"), (["--source", "file"], "paths"),
    (["--source", "star_graph", "--variant", "1"], "--variant works with --source arithmetic"),
    (["--top_p", "2"], "top_p is 2.0; allowed is"), (["--verifier", "absent:verify"], "cannot be imported"),
])
def test_mistake_on_the_command_line_is_one_message_and_exit_code_2(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", "tiny", "--limit", "2", "--out", str(tmp_path / "r.jsonl"), *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--model", "--prm", "--judge"])
@pytest.mark.parametrize("name", ["nosuch", "no/such/model", "folder"])
def test_model_that_is_not_there_is_named_before_anything_is_sampled(
    option: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stepforge.pipelines.inference.models.HfApi.model_info", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("stepforge.train.evaluate.sample", None)
    Path("folder").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["--model", "tiny", "--limit", "2", option, name])
    assert f"model {name!r}" in capsys.readouterr().err


@pytest.mark.parametrize("line", [{"a": 1}, row(0, True) | {"greedy": {"solution": ""}}, row(0, True) | {
    "problem_id": ""}])
def test_file_that_is_no_result_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: dict[str, Any]
) -> None:
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(row(1, True))}\n{json.dumps(line)}\n")
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path / "r.jsonl")])
    assert "is not a result file" in capsys.readouterr().err


def test_shipped_model_is_evaluated_and_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.jsonl"
    main(["--model", "tiny", "--limit", "12", "--with", "steps=[2,2]", "--samples", "4", "--max_tokens", "64", "--out",
          str(out)])
    main(["--out", str(out), "--compare", str(out)])
    (tmp_path / "lenient.py").write_text(
        "from stepforge.pipelines.answers import Verdict\nVERSION = 1\n"
        "def verify(claim): return Verdict('1', '1', 'correct', None, 'lenient')\n")
    monkeypatch.chdir(tmp_path)
    main(["--model", "tiny", "--limit", "1", "--samples", "0", "--out", "l.jsonl", "--verifier", "lenient:verify"])
    assert json.loads(Path("l.jsonl").read_text())["greedy"]["answer_key"] == "1"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 12 and all(len(one["samples"]) == 4 for one in rows)
    estimates = json.loads(out.with_suffix(".summary.json").read_text())["estimates"]
    assert estimates["pass@4"]["value"] >= estimates["pass@1"]["value"] > 0
    assert "+0.000" in capsys.readouterr().out


def test_reward_model_scores_every_sample(tiny: Path, release: Path, tmp_path: Path) -> None:
    train_prm(["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny), "--output_dir",
               str(tmp_path), "--max_steps", "1", "--use_cpu", "--save_strategy", "no", "--disable_tqdm", "true"])
    out = tmp_path / "r.jsonl"
    samples = ((True, "1 + 2 = 3\nThe answer is 3."), (False, "It is 2. Or 3."), (False, ""), (True, "3\n" * 300))
    rows = [row(0, True, *samples)]
    out.write_text("".join(json.dumps(one) + "\n" for one in rows))
    main(["--out", str(out), "--prm", str(tmp_path), "--splitter", "sentence"])
    scored = [one["step_scores"] for one in json.loads(out.read_text())["samples"]]
    assert [scores and len(scores) for scores in scored] == [1, 2, None, None]
    assert scored[1] == score_steps(str(tmp_path), None, "Add.\n", ["It is 2. ", "Or 3."])
    estimates = json.loads(out.with_suffix(".summary.json").read_text())["estimates"]
    assert [name for name in estimates if name.endswith("@4")] == [
        "pass@4", "maj@4", "best-of-min@4", "best-of-last@4", "best-of-product@4", "weighted-maj@4"]
    assert estimates["samples without scores"]["value"] == 0.5


def scored(*samples: tuple[bool | None, str, list[float] | None]) -> dict[str, Any]:
    made = row(0, True, *((correct, key) for correct, key, _ in samples))
    for one, (_, _, scores) in zip(made["samples"], samples, strict=True):
        one["step_scores"] = scores
    return made


def test_best_of_n_by_each_rule_and_the_weighted_majority() -> None:
    """Of all four, `min` picks the right one (.6), `last` and `product` the wrong ones; the right answer has the least
    weight by `min`, .6 against .65, until the sample without scores is gone that votes for it and weighs nothing.
    """
    rows = [scored((True, "1", [0.6, 0.6]), (False, "2", [0.5, 0.95]), (False, "2", [0.15, 1.0]), (True, "1", None))]
    values = {name: estimate.value for name, estimate in summary(rows, seed=0).items()}
    assert (values["best-of-min@4"], values["best-of-last@4"], values["best-of-product@4"]) == (1, 0, 0)
    assert (values["maj@4"], values["weighted-maj@4"], values["samples without scores"]) == (0.5, 0, 0.25)
    heavier = [scored((True, "1", [0.6, 0.6]), (True, "1", [0.1]), (False, "2", [0.5, 0.95]), (False, "2", [0.15]))]
    assert summary(heavier, seed=0)["weighted-maj@4"].value == 1
    last = [scored((True, "1", None), (False, "2", [0.01]))]
    assert summary(last, seed=0)["best-of-min@2"].value == 0, "a sample without scores is chosen last"
    assert "best-of-min@1" not in summary([row(0, True, (True, "1"))], seed=0)
    unjudged = summary([scored((None, "1", None), (True, "1", [0.5]))], seed=0)
    assert unjudged["samples without scores"].value == 0 and unjudged["best-of-min@1"].n == 1
