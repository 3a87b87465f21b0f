"""Gold answers: which are one, which are two, and what a reference solution states."""

import json

import pytest
from helpers.runs import execute, rows

from stepforge.builders.sources.records import Drop
from stepforge.pipelines.answers.golds import reference_answer
from stepforge.pipelines.options.sources import FilesSource
from stepforge.pipelines.stages.problems import rows_of
from stepforge.pipelines.stages.problems.golds import Golds, same_gold


def placed(*problems):
    """Reasons of problems (text, gold, source_id) that are dropped at once, and of those refused later."""
    golds = Golds()
    drops = [golds.place({"problem_id": f"{p}|{a}|{i}", "problem": p, "answer": a, "source": "s", "source_id": i,
                          "split": "train"})
             for p, a, i in problems]
    return [drop and drop.reason for drop in drops], {key: drop.reason for key, drop in golds.refused.items()}


def test_a_reference_solution_states_its_last_answer():
    assert reference_answer("#### 3\nNo, once more.\n#### 4") == "4"


def test_two_golds_of_one_text_are_both_refused_and_no_third_row_slips_through():
    assert placed(("a", "1", "1"), ("b", "2", "2"), ("a ", "3", "3"), ("a", "1.0", "4")) == (
        [None, None, "two_golds", "duplicate"], {"a|1|1": "two_golds"})
    assert placed(("a", "1", "1"), ("a", "2", "2"), ("a", "3", "3")) == (
        [None, "two_golds", "two_golds"], {"a|1|1": "two_golds"})


def test_ids_do_not_tell_two_golds_of_one_text_apart_since_a_prompt_has_no_id():
    assert placed(("a", "1", "x"), ("a", "2", "y"), ("a", "2", "z"), ("a b", "2", "u")) == (
        [None, "two_golds", "duplicate", None], {"a|1|x": "two_golds"})
    assert placed(("a", "1", "x"), ("a", "2", "x")) == ([None, "two_golds"], {"a|1|x": "two_golds"})


def test_problem_with_a_gold_takes_the_place_of_one_without():
    assert placed(("a", None, "1"), ("a", "1", "2"), ("a", None, "3")) == (
        [None, None, "duplicate"], {"a|None|1": "duplicate"})
    assert placed(("a", None, "1"), ("a", None, "2")) == ([None, "duplicate"], {})


@pytest.mark.parametrize("first", ["train", "test"])
def test_duplicate_of_a_test_problem_is_for_testing_whatever_the_order(tmp_path, first):
    for split, golds in (("train", ["1", "2", None, "4"]), ("test", ["1.0", None, "3"])):
        (tmp_path / f"{split}.jsonl").write_text("".join(
            json.dumps({"problem": f"Problem {n}?", "answer": gold}) + "\n" for n, gold in enumerate(golds)))
    sources = [{"source": "files", "paths": [str(tmp_path / f"{split}.jsonl")], "split": split, "answer": "majority"}
               for split in ("train", "test")]
    (tmp_path / "s.jsonl").write_text("".join(
        json.dumps({"problem": f"Problem {n}?", "solution": f"The answer is {n + 1}."}) + "\n" for n in range(4)))
    execute({"name": "m", "problems": sources if first == "train" else sources[::-1],
             "generators": [{"name": "g", "engine": "recorded", "paths": [str(tmp_path / "s.jsonl")]}],
             "release": {"splits": {}, "configs": ["problems"]}, "executor": {"tasks": 1, "workers": 1}},
            tmp_path / "run")
    assert {row["problem"]: (row["split"], row["answer"]) for row in rows(tmp_path / "run", "problems")} == {
        "Problem 0?": ("test", "1" if first == "train" else "1.0"), "Problem 1?": ("test", "2"),
        "Problem 2?": ("test", "3"), "Problem 3?": ("train", "4")}


@pytest.mark.parametrize(("one", "other", "same"), [
    ("31", "31.0", True), ("1/2", r"\frac{1}{2}", True), ("0.5", "1/2", True),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", True),
    ("31", "310", False), ("(1,2)", "(2,1)", False), ("x+1", "x-1", False)])
def test_forms_of_one_gold(one, other, same):
    assert same_gold(one, other) == same


@pytest.mark.parametrize(("solution", "answer"), [
    (r"First 2+2 = 4.\nSo \\boxed{4}.", "4"), (r"2+2 = 4\n#### 4", "4"), ("We add. The answer is 4.", "4"),
    ("We add 2 and 2, which gives 4", None), ("", None)])
def test_answer_is_taken_out_of_a_reference_solution_that_states_one(solution, answer, tmp_path):
    (tmp_path / "p.jsonl").write_text(f'{{"m": [{{"c": "How many?"}}, {{"c": "{solution}"}}]}}')
    source = FilesSource(source="files", paths=[str(tmp_path / "p.jsonl")], answer_from="solution",
                         columns={"problem": "m[0].c", "reference_solution": "m[-1].c"})
    (row,) = rows_of(source)
    assert row.reason == "no_gold" if isinstance(row, Drop) else row["answer"] == answer and answer is not None


@pytest.mark.parametrize(("options", "message"), [
    ({"columns": {"problem": "p"}}, r"a mapping for \['answer'\] is needed"),
    ({"columns": {"problem": "p", "x": "y"}}, "'x'"),
    ({"columns": {"problem": "p..q", "answer": "a"}}, "cannot be parsed"), ({"hub": "a/b"}, "either `paths` or `hub`"),
    ({"answer_from": "solution"}, "reference_solution, and none for answer"),
])
def test_mapping_that_does_not_fit_is_refused_before_the_run(options, message):
    with pytest.raises(ValueError, match=message):
        FilesSource.model_validate({"source": "files", "paths": ["x"]} | options)
