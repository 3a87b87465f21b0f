"""GSM8K and MATH in their public formats."""

import json
import os
from pathlib import Path

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources import public
from stepforge.builders.sources.public import last_box, load

DATA = os.environ.get("STEPFORGE_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with the public sets")


def test_gsm8k_answer_is_what_follows_the_marker(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps({"question": "How much?", "answer": "2*600=<<2*600=1200>>1200\n#### 1,200"}))
    (row,) = load("gsm8k", str(path), None, None, "train")
    assert (row["answer"], row["reference_solution"]) == ("1200", "2*600=<<2*600=1200>>1200")


def test_a_solution_without_the_marker_is_no_answer(tmp_path):
    given = ["18", "$1,800", "18 big red eggs in all, so 18", "a\n#### 18"]
    (tmp_path / "g.jsonl").write_text("\n".join(json.dumps({"question": f"{n}?", "answer": a})
                                                for n, a in enumerate(given)))
    first, second, drop, last = load("gsm8k", str(tmp_path / "g.jsonl"), None, None, "train")
    assert [row["answer"] for row in (first, second, last)] == ["18", "$1800", "18"]
    assert (drop.where, drop.reason) == ("g.jsonl:3", "no_gold")


def test_math_without_answer_takes_the_last_box(tmp_path):
    path = tmp_path / "m.jsonl"
    solution = r"\boxed{1} no, \boxed{\frac{1}{2}}."
    path.write_text(json.dumps({"problem": "x?", "solution": solution, "type": "Algebra"}))
    (row,) = load("math", str(path), None, None, "train")
    assert (row["answer"], row["subject"]) == (r"\frac{1}{2}", "Algebra")


def test_unbalanced_box_is_no_answer():
    assert last_box(r"\boxed{\frac{1}{2}") is None


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
