"""GSM8K and MATH in their public formats."""

import json
import os
from pathlib import Path

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources import public
from stepforge.builders.sources.public import load
from stepforge.pipelines.options.sources import PublicSource
from stepforge.pipelines.stages.problems import rows_of

DATA = os.environ.get("STEPFORGE_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with the public sets")


def test_gsm8k_answer_is_what_follows_the_marker(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps({"question": "How much?", "answer": "2*600=<<2*600=1200>>1200\n#### 1,200"}))
    (row,) = load("gsm8k", str(path), None, None, "train")
    assert (row["answer"], row["reference_solution"]) == ("1200", "2*600=<<2*600=1200>>1200")


def test_a_solution_without_the_marker_is_no_answer(tmp_path):
    given = ["18", "$1,800", "18 big red eggs in all, so 18", "no mark", "It is \\boxed{8}.",
             "a\n#### 18"]
    (tmp_path / "g.jsonl").write_text("\n".join(json.dumps({"question": f"{n}?", "answer": a})
                                                for n, a in enumerate(given)))
    first, second, drop, *others, last = load("gsm8k", str(tmp_path / "g.jsonl"), None, None, "train")
    assert [row["answer"] for row in (first, second, last)] == ["18", "$1800", "18"]
    assert (drop.where, drop.reason) == ("g.jsonl:3", "no_gold") and len(others) == 2
    assert {other.reason for other in others} == {"no_gold"}


def test_math_without_answer_takes_the_last_box(tmp_path):
    path = tmp_path / "m.jsonl"
    solution = r"\boxed{1} no, \boxed{\frac{1}{2}}."
    path.write_text(json.dumps({"problem": "x?", "solution": solution, "type": "Algebra"}))
    (row,) = load("math", str(path), None, None, "train")
    assert (row["answer"], row["subject"]) == (None, "Algebra")
    source = PublicSource(source="math", path=str(path))
    (row,) = rows_of(source)
    assert row["answer"] == r"\frac{1}{2}"
    solutions = [r"So $x=\boxed{1}$ or $x=\boxed{-1}$.", r"It is $\boxed 2$.", r"$\fbox{\frac12}$", "No box."]
    path.write_text("\n".join(json.dumps({"problem": f"{n}?", "solution": text}) for n, text in enumerate(solutions)))
    *rows, drop = rows_of(source)
    assert [row["answer"] for row in rows] == ["1, -1", "2", r"\frac12"] and drop.reason == "no_gold"


def test_files_of_another_split_are_not_read(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}-0.jsonl").write_text(json.dumps({"question": f"{split}?", "answer": "#### 1"}))
    for split in ("train", "test"):
        (row,) = load("gsm8k", str(tmp_path), None, None, split)
        assert row["problem"] == f"{split}?" and row["split"] == split
    with pytest.raises(SourceError, match="files of \\['test', 'train'\\], but none of 'validation'"):
        list(load("gsm8k", str(tmp_path), None, None, "validation"))


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text('{"prompt": "x", "target": "y"}')
    with pytest.raises(SourceError, match="question"):
        list(load("gsm8k", str(path), None, None, "train"))


def test_every_split_of_a_set_has_a_home_and_math_is_trained_on_its_train_split(monkeypatch):
    asked = []
    monkeypatch.setattr(public, "read_hub", lambda *place: iter(asked.append(place) or []))
    for name, split in (("math", "train"), ("math", "test"), ("gsm8k", "train")):
        assert list(load(name, None, None, None, split)) == []
    assert [place[:3] for place in asked] == [("DigitalLearningGmbH/MATH-lighteval", None, "train"),
                                              ("HuggingFaceH4/MATH-500", None, "test"),
                                              ("openai/gsm8k", "main", "train")]
    with pytest.raises(SourceError, match="math has no split 'validation'; allowed are train and test"):
        list(load("math", None, None, None, "validation"))


@needs_data
@pytest.mark.parametrize(("name", "file", "count"), [
    ("gsm8k", "gsm8k_test.jsonl", 1319), ("gsm8k", "gsm8k_train.jsonl", 7473), ("math", "math500_test.jsonl", 500),
])
def test_public_sets_load_without_loss(name, file, count):
    rows = list(load(name, str(Path(DATA) / file), None, None, "test"))
    assert len(rows) == count and all(isinstance(row, dict) and row["answer"] for row in rows)
