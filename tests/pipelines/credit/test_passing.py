"""A rollout counts for longer prefixes that it passes: for which, how often, and never where outcomes chose."""

from collections import Counter

import pytest

from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.rollouts import Start, passed
from stepforge.pipelines.credit.search import Ask, Search, SearchSettings, Solution, make_search
from stepforge.pipelines.inference.runner import Completion

# "1 2" is a prefix of all, "1 2 3" of a and the whole of c.
SOLUTIONS = [Solution("a", ("1\n", "2\n", "3\n", "4"), False), Solution("b", ("1\n", "2\n", "5\n", "6"), False),
             Solution("c", ("1\n", "2\n", "3\n"), False)]
CHAIN = ["1\n", "1\n2\n", "1\n2\n3\n"]


def search(strategy: str = "exhaustive", passing: bool = True, rollouts: int = 4) -> Search:
    return make_search(strategy, SOLUTIONS, SearchSettings(passing=passing, rollouts=rollouts), 4, 4)


def drive(driven: Search, far: int, limit: int = 64) -> Counter[tuple[str, int]]:
    """Every rollout from a prefix of a passes the next `far` ones, and fails; how often each step was asked."""
    asked: Counter[tuple[str, int]] = Counter()
    while batch := driven.next_batch(limit):
        for ask in batch:
            asked[ask.solution_id, ask.step_index] += 1
            driven.observe(ask, "failure", 1, passed=CHAIN[ask.step_index + 1:][:far * (ask.solution_id == "a")])
    return asked


def counts(driven: Search, solution_id: str) -> list[tuple[int, int]]:
    return [(value.rollouts, value.passing_rollouts) for value in driven.values()[solution_id]]


@pytest.mark.parametrize("limit", [1, 3, 64])
def test_a_step_waits_for_those_before_it_and_lacks_what_has_not_come_by(limit: int) -> None:
    near, far = search(), search()
    assert drive(near, 1, limit) == {("a", 0): 4, ("a", 2): 4, ("b", 2): 4}
    assert counts(near, "a") == [(4, 0), (4, 4), (4, 0), (0, 0)]
    assert drive(far, 2, limit) == {("a", 0): 4, ("b", 2): 4}
    assert counts(far, "a") == [(4, 0), (4, 4), (4, 4), (0, 0)]
    assert counts(far, "b") == [(4, 0), (4, 4), (4, 0), (0, 0)]
    assert {value.estimator for values in far.values().values() for value in values} == {"fixed_n"}


@pytest.mark.parametrize("strategy", ["exhaustive", "scan", "bisect", "adaptive"])
def test_without_passing_no_rollout_counts_elsewhere(strategy: str) -> None:
    plain, same = search(strategy, passing=False), search(strategy, passing=False)
    assert drive(plain, 0) == drive(same, 3)
    assert plain.values() == same.values()


def test_an_outcome_counts_at_its_start_and_once_at_each_prefix_that_it_passed() -> None:
    driven = search(rollouts=9)
    ask, *rest = driven.next_batch(9)
    assert ask == Ask("a", -1, 0)                                     # of 9, 4 are base samples
    assert driven.observe(ask, "success", 5, passed=[CHAIN[1], CHAIN[0], CHAIN[1], "1\n9\n", "1\n2\n3\n4"]) == 2
    assert [driven.observe(other, "excluded", 5, passed=CHAIN) for other in rest] == [0] * 4
    assert [(v.rollouts, v.successes, v.passing_rollouts, v.passing_successes) for v in driven.values()["b"]] == \
        [(1, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 0), (0, 0, 0, 0)]
    assert (driven.bare().rollouts, driven.bare().successes, driven.tokens) == (5, 5, 25)
    again = driven.next_batch(9)[0]
    assert (again, driven.observe(again, "failure", 5, passed=CHAIN[:1])) == (Ask("a", -1, 5), 1)
    assert driven.values()["b"][0][:3] == (2, 1, 0.5) and driven.values()["b"][0].passing_successes == 1


def test_a_finished_solution_is_passed_for_the_prefix_that_it_is_of_another() -> None:
    driven = search(rollouts=9)
    ask = driven.next_batch(1)[0]
    assert driven.observe(ask, "failure", 1, passed=["1\n2\n3\n"]) == 1
    assert driven.values()["a"][2].rollouts == 1 and driven.values()["c"][2][:3] == (0, 0, 0.0)


@pytest.mark.parametrize(("prefix", "counted"), [
    ("1\n2\n", 1), ("1\n9\n", 0), ("", None), ("1\n", None), ("9\n", None)])
def test_what_does_not_go_on_from_the_start_is_refused(prefix: str, counted: int | None) -> None:
    driven = search()
    (ask,) = driven.next_batch(1)
    assert ask == Ask("a", 0, 0)
    if counted is None:
        with pytest.raises(ValueError, match="does not go on from there"):
            driven.observe(ask, "failure", 1, passed=[prefix])
    else:
        assert driven.observe(ask, "failure", 1, passed=[prefix]) == counted


def test_what_outcomes_chose_to_visit_again_counts_nowhere_else() -> None:
    driven = search()
    drive(driven, 0)
    before = driven.values()["a"]
    asks = driven.revisit([driven.tree.prefixes["1\n"]])
    assert [driven.observe(ask, "failure", 1, passed=CHAIN[1:]) for ask in asks] == [0] * 4
    after = driven.values()["a"]
    assert [value.rollouts for value in before] == [4, 4, 4, 0] and [value.rollouts for value in after] == [8, 4, 4, 0]


def test_a_rollout_teaches_lengths_where_it_began_alone() -> None:
    driven = search("adaptive")
    asked = drive(driven, 3)
    assert isinstance(driven, Adaptive) and driven.tree.prefixes["1\n2\n"].passing > 0
    seen = [(each.rollouts, each.written) for each in driven.lengths()]
    assert sum(rollouts for rollouts, _ in seen) == sum(count for (_, step), count in asked.items() if step >= 0)
    assert all(rollouts == written for rollouts, written in seen)     # each wrote 1


PREFIXES = {"": (7,), "a\n": (7, 1), "a\nb\n": (7, 1, 2, 3), "a\nb\nc\n": (7, 1, 2, 3, 4), "a\nbb\n": (7, 1, 2, 5)}


@pytest.mark.parametrize(("ids", "written", "expected"), [
    ((7, 1), [2, 3, 9], ["a\nb\n"]), ((7, 1), [2, 3], ["a\nb\n"]), ((7, 1), [2], []), ((7, 1), [], []),
    ((7, 1), [2, 3, 4], ["a\nb\n", "a\nb\nc\n"]), ((7, 1), [2, 5, 4], ["a\nbb\n"]),
    ((7, 1), [6, 3, 4], []),                       # one token apart
    ((7, 8), [2, 3, 4], []),                       # from other tokens of the same text
    ((7, 1), None, []), (None, [2, 3, 4], [])])    # tokens that nobody knows
def test_prefixes_are_passed_token_by_token(ids: tuple[int, ...] | None, written: list[int] | None, expected: list[str]
                                            ) -> None:
    completion = Completion("b\nc\n", "stop", 3, 2, None, token_ids=written)
    assert passed(Start("a\n", "s", 0, 0, ids=ids), completion, PREFIXES) == expected


def test_a_prefix_of_other_text_is_not_passed_whatever_its_tokens() -> None:
    completion = Completion("b\n", "stop", 3, 2, None, token_ids=[2, 3, 4])
    assert passed(Start("other\n", "s", 0, 0, ids=(7, 1)), completion, PREFIXES) == []
