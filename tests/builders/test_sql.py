"""What every connection knows beside its tables."""

import pytest

from stepforge.builders.sql import open_duckdb


@pytest.mark.parametrize(("verdict", "reason", "counts"), [
    ("correct", None, True), ("incorrect", None, True), ("incorrect", "many_answers", True),
    ("undecided", "no_answer", True), ("undecided", "guessed", True), ("undecided", "truncated", True),
    ("undecided", "timeout", False), ("undecided", "gold_unparseable", False), ("undecided", None, False)])
def test_solution_without_an_answer_has_failed_and_a_fault_of_the_tools_is_no_outcome(
        verdict, reason, counts, tmp_path) -> None:
    with open_duckdb("256MiB", tmp_path) as connection:
        assert connection.execute("SELECT is_outcome(?, ?)", [verdict, reason]).fetchone() == (counts,)
