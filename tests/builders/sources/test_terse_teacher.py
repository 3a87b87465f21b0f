"""The terse teacher is always right, doubles a line as often as asked, and no problem is in two splits."""

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.terse_teacher import double_lines, false_lines, generate, operate
from stepforge.builders.tables import PROBLEMS
from stepforge.pipelines.answers import first_false_step, verify


def by_hand(problem: str) -> int:
    """The answer, worked in another way: without taking remainders before the end of each operation."""
    first, *rest = problem.partition(": ")[2].split()
    total = int(first)
    for sign, number in zip(rest[::2], rest[1::2], strict=True):
        total = {"+": total + int(number), "-": total - int(number), "*": total * int(number)}[sign]
    return total % int(problem.split("modulo ")[1].split(":")[0])


@pytest.mark.parametrize("double", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("operations", "modulus"), [(1, 11), (3, 11), (6, 97)])
def test_every_line_and_answer_is_right(double: float, operations: int, modulus: int) -> None:
    for row in generate(40, 0, "train", operations, modulus, double):
        assert row["answer"] == str(by_hand(row["problem"]))
        assert false_lines(row["reference_solution"], modulus) == 0
        assert row["reference_solution"].splitlines()[-1] == f"#### {row['answer']}"
        assert verify(row["answer"], row["reference_solution"]).verdict == "correct"
        assert first_false_step(row["reference_solution"].splitlines()) is None


def test_line_that_is_wrong_is_counted() -> None:
    assert false_lines("3 + 7 ≡ 10\n10 * 2 - 5 ≡ 5\n#### 5") == 1
    assert false_lines("3 - 7 ≡ 7\n10 * 2 - 5 ≡ 4") == 0
    assert double_lines("3 + 7 ≡ 10\n10 * 2 - 5 ≡ 4\n#### 4") == 1 and double_lines("3 + 7 ≡ 10") == 0


def test_larger_share_keeps_the_problems_and_doubles_more() -> None:
    """400 problems; at 0.6 a solution of three operations has a double line in 84% of cases, 5 errors are 9 points."""
    rows = {share: list(generate(400, 3, "train", double=share)) for share in (0.0, 0.2, 0.6, 1.0)}
    doubled = {share: [double_lines(row["reference_solution"]) > 0 for row in drawn] for share, drawn in rows.items()}
    assert len({tuple(row["problem"] for row in drawn) for drawn in rows.values()}) == 1
    assert not any(doubled[0.0]) and all(doubled[1.0])
    assert abs(sum(doubled[0.6]) / 400 - 0.84) < 0.09
    assert all(more or not less for less, more in zip(doubled[0.2], doubled[0.6], strict=True))


def test_rows_have_the_columns_of_the_problems_table() -> None:
    row = next(generate(1, 0, "test"))
    assert {*row} == {*PROBLEMS.schema.names} - {"problem_id", "parent_id", "agreement"}


def test_problem_depends_on_its_index_alone_and_splits_share_none() -> None:
    rows = list(generate(60, 3, "train"))
    assert list(generate(10, 3, "train", offset=20)) == rows[20:30]
    texts = {split: {row["problem"] for row in generate(500, 3, split, operations=1)} for split in ("train", "test")}
    assert texts["train"] and texts["test"] and not texts["train"] & texts["test"]


def test_bad_dials_are_named() -> None:
    with pytest.raises(SourceError, match=r"double 1\.5; allowed: .*double from 0 to 1"):
        list(generate(1, 0, "train", double=1.5))
    with pytest.raises(SourceError, match="split 'dev' is unknown; allowed: train"):
        list(generate(1, 0, "dev"))


def test_operations_stay_below_the_modulus() -> None:
    assert [operate(3, sign, 7, 11) for sign in "+-*"] == [10, 7, 10]
