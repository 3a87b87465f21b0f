"""Right answers with wrong reasoning are counted among right answers alone, by equations and by a judge."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stepforge.builders.errors import UserError
from stepforge.train import reasoning
from stepforge.train.reasoning import false_positives, judge

GOOD, BAD = "1 + 2 = 3\nThe answer is 3.", "1 + 1 = 3\nThe answer is 3."


@pytest.fixture
def long_context(tiny: Path, tmp_path: Path) -> Path:
    """The tests' small model with room for a critique's prompt."""
    folder = Path(shutil.copytree(tiny, tmp_path / "judge"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    return folder


def solved(text: str, correct: bool | None = True, **more: Any) -> dict[str, Any]:
    return {"solution": text, "correct": correct, "answer_key": "3"} | more


def row(greedy: dict[str, Any], *samples: dict[str, Any]) -> dict[str, Any]:
    return {"problem_id": "p", "problem": "What is 1 + 2?", "answer": "3", "greedy": greedy, "samples": list(samples)}


def test_wrong_and_undecided_answers_have_no_share() -> None:
    shares = false_positives([row(solved(GOOD)), row(solved(BAD)), row(solved(BAD, False)), row(solved(BAD, None))], 0)
    assert list(shares) == ["false equation, greedy"]
    greedy = shares["false equation, greedy"]
    assert (greedy.value, greedy.n, greedy.excluded) == (0.5, 2, 2)


def test_share_of_samples_is_a_mean_over_problems_with_right_ones() -> None:
    rows = [row(solved(GOOD), solved(BAD), solved(GOOD), solved(GOOD), solved(BAD, False)),
            row(solved(GOOD), solved(BAD)), row(solved(GOOD), solved(BAD, False))]
    samples = false_positives(rows, 0)["false equation, samples"]
    assert (samples.value, samples.n, samples.excluded) == (pytest.approx((1 / 3 + 1) / 2), 2, 1)


def test_critique_that_cannot_be_read_is_excluded() -> None:
    rows = [row(solved(text, judged=judged))
            for text, judged in ((GOOD, "unsound"), (GOOD, "sound"), (BAD, "undecided"))]
    shares = false_positives(rows, 0)
    assert (shares["judged unsound, greedy"].value, shares["judged unsound, greedy"].excluded) == (0.5, 1)
    assert shares["false equation, greedy"].value == pytest.approx(1 / 3)


def test_right_answers_alone_are_read_by_the_judge(long_context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model writes no verdict, however long it may write: every right answer is read and is undecided."""
    monkeypatch.setattr(reasoning, "MAX_TOKENS", 16)
    rows = [row(solved(GOOD), solved(BAD), solved(GOOD, False))]
    judge(rows, str(long_context))
    assert rows[0]["greedy"]["judged"] == rows[0]["samples"][0]["judged"] == "undecided"
    assert "judged" not in rows[0]["samples"][1]
    assert false_positives(rows, 0)["judged unsound, greedy"].n == 0


@pytest.mark.slow
def test_judge_that_cannot_read_the_prompt_is_named() -> None:
    """Slow because a sampling process starts for it."""
    with pytest.raises(UserError, match="--judge tiny: "):
        judge([row(solved(GOOD))], "tiny")


def test_result_file_without_problem_texts_cannot_be_judged() -> None:
    with pytest.raises(UserError, match="holds no problem texts"):
        judge([{"greedy": solved(GOOD), "samples": []}], "tiny")
