"""The arithmetic source: remade exactly, split by wording, answers certain."""

import re

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.arithmetic import generate, remake, variant

EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")


def solve(reference_solution: str) -> list[bool]:
    """Whether each equation of a solution holds, computed here without the generator."""
    value = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": lambda a, b: a / b}
    return [value[op](int(a), int(b)) == int(c) for a, op, b, c in EQUATION.findall(reference_solution)]


def masked(problem: str) -> str:
    return re.sub(r"\d+", "#", problem)


def test_same_arguments_give_the_same_problems():
    assert list(generate(50, 3, "train")) == list(generate(50, 3, "train"))
    assert list(generate(50, 3, "train")) != list(generate(50, 4, "train"))


def test_larger_count_only_appends_and_offset_continues():
    many = list(generate(40, 0, "test"))
    assert list(generate(25, 0, "test")) == many[:25]
    assert list(generate(15, 0, "test", offset=25)) == many[25:]


@pytest.mark.parametrize(("steps", "max_operand"), [((1, 1), 5), ((10, 10), 5), ((3, 6), 50), ((10, 10), 1000)])
def test_every_step_of_a_reference_solution_is_true_and_ends_in_the_answer(steps, max_operand):
    for row in generate(150, 0, "train", steps=steps, max_operand=max_operand):
        *lines, last = row["reference_solution"].split("\n")
        assert solve(row["reference_solution"]) == [True] * len(lines)
        assert len(lines) == int(row["level"]) and steps[0] <= len(lines) <= steps[1]
        assert last == f"The answer is {row['answer']}."
        assert lines[-1].rstrip(".").split(" left")[0].split(" in all")[0].endswith(f"= {row['answer']}")


def test_quantities_stay_whole_positive_and_bounded():
    for row in generate(300, 1, "train", max_operand=20):
        numbers = [int(n) for n in re.findall(r"\d+", row["problem"] + row["reference_solution"])]
        assert min(numbers) >= 2 and max(numbers) <= 200
        assert "-" not in row["problem"] and "." not in row["answer"]


def test_every_number_of_the_text_is_used_by_the_solution():
    for row in generate(200, 2, "train"):
        numbers = re.findall(r"\d+", row["problem"])
        used = [n for a, _, b, _ in EQUATION.findall(row["reference_solution"]) for n in (a, b)]
        assert not set(numbers) - set(used), row


def test_splits_share_no_group():
    groups = {split: {row["group_id"] for row in generate(600, 0, split)} for split in ("train", "validation", "test")}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]


def test_thousands_of_wordings_are_distinct():
    rows = list(generate(4000, 0, "train"))
    assert len({masked(row["problem"]) for row in rows}) > 3900
    assert len({row["group_id"] for row in rows}) > 3500


def test_source_id_says_everything_needed_to_remake():
    for row in generate(20, 7, "test", steps=(2, 4), max_operand=99, offset=5):
        assert remake(row["source_id"]) == row


def test_variant_keeps_wording_group_and_level_and_changes_numbers():
    rows = list(generate(100, 0, "test"))
    twins = [variant(row["source_id"], 1) for row in rows]
    for row, twin in zip(rows, twins, strict=True):
        assert masked(twin["problem"]) == masked(row["problem"]) and twin["problem"] != row["problem"]
        assert all(twin[key] == row[key] for key in ("group_id", "level", "split", "subject"))
        assert all(solve(twin["reference_solution"]))
        assert remake(twin["source_id"]) == twin
    assert sum(row["answer"] != twin["answer"] for row, twin in zip(rows, twins, strict=True)) > 80


def test_steps_and_operands_are_dials_of_difficulty():
    easy = list(generate(100, 0, "train", steps=(2, 2), max_operand=10))
    hard = list(generate(100, 0, "train", steps=(8, 8), max_operand=500))
    assert {row["level"] for row in easy} == {"2"} and {row["level"] for row in hard} == {"8"}
    assert max(int(row["answer"]) for row in easy) <= 100 < max(int(row["answer"]) for row in hard)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split is 'dev'; allowed are train, validation, test"),
        ({"steps": (4, 2)}, r"steps is \(4, 2\); allowed"),
        ({"steps": (0, 2)}, r"steps is \(0, 2\); allowed"),
        ({"max_operand": 3}, "max_operand is 3; allowed"),
        ({"offset": -1}, "offset is -1"),
    ],
)
def test_values_that_are_not_allowed_are_named(arguments, message):
    with pytest.raises(SourceError, match=message):
        list(generate(**{"count": 1, "seed": 0, "split": "train"} | arguments))


@pytest.mark.parametrize("source_id", ["gsm8k:7", "arithmetic-0:seed=0:split=train:steps=3-6:max=50:index=7", ""])
def test_foreign_source_id_is_refused(source_id):
    with pytest.raises(SourceError, match="was not made by version"):
        variant(source_id, 0)
