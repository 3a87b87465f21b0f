"""Falls at pits: how far q falls for certain, what tells against it, and where more rollouts are spent."""

import random

import pytest

from stepforge.pipelines.credit.pits import certain_fall, doubters, fall
from stepforge.pipelines.credit.search import SearchSettings, Solution, make_search
from stepforge.pipelines.credit.tree import Node


def node(successes: int, rollouts: int, exact: float | None = None) -> Node:
    return Node("s", 0, 1.0, exact, rollouts, successes)


LOST = node(0, 0, 0.0)  # a finished incorrect solution


@pytest.mark.parametrize(("before", "after", "k"), [
    ((8, 8), (0, 8), 1), ((4, 8), (0, 8), 1), ((3, 8), (3, 8), 1), ((9, 16), (2, 16), 1), ((4, 8), (0, 8), 5),
    ((2, 8), (0, 32), 5)])
def test_a_fall_is_exceeded_with_the_probability_that_two_beta_laws_give_it(before, after, k):
    """Drawn 20,000 times: 95% of the draws exceed it, within 4.5 standard errors (.0069) and the grid's two cells."""
    low, rng = fall(node(*before), node(*after), best_of=k), random.Random(0)

    def draw(successes: int, rollouts: int) -> float:
        return 1 - (1 - rng.betavariate(successes + 1, rollouts - successes + 1)) ** k

    falls = sorted(draw(*before) - draw(*after) for _ in range(20_000))
    assert falls[int(0.043 * len(falls))] - 0.02 <= low <= falls[int(0.057 * len(falls))] + 0.02


def test_chance_makes_no_fall_and_none_is_certain_without_rollouts():
    assert fall(node(2, 8), node(0, 8)) < 0 < fall(node(4, 8), node(0, 8)) < fall(node(4, 8), node(0, 8), level=0.9)
    assert fall(node(0, 0), node(0, 16)) < 0 and fall(node(5, 8), node(0, 0, 1.0)) < 0
    assert fall(node(4, 8), LOST) == pytest.approx(0.25, abs=0.01)  # the 5% quantile of Beta(5, 5)


def test_a_fall_must_hold_against_every_later_step_of_which_anything_is_known():
    alone = [node(6, 8), node(0, 8), LOST]
    assert certain_fall(alone, 1) == fall(alone[0], alone[1])
    recovered = [node(6, 8), node(0, 8), node(5, 8), node(0, 0), LOST]
    assert certain_fall(recovered, 1) == fall(node(6, 8), node(5, 8)) < 0 < certain_fall([*recovered[:3], LOST], 3)


def test_no_fall_is_certain_from_a_step_of_which_nothing_is_known():
    unknown = node(0, 0)
    assert fall(unknown, LOST) == 0 > fall(unknown, node(0, 1000))
    assert certain_fall([node(6, 8), unknown, LOST], 2) == 0 and doubters([unknown, node(0, 8), LOST], 1, 0.05) == []
    assert -1 < certain_fall([unknown, node(8, 8), LOST], 1)


def test_more_rollouts_are_spent_only_where_later_steps_tell_against_a_fall():
    before, pit, later, unknown = node(6, 8), node(0, 8), node(5, 8), node(0, 0)
    assert doubters([before, pit, LOST], 1, 0.05) == []
    assert doubters([before, pit, unknown, later, LOST], 1, 0.05) == [pit, later]
    assert doubters([node(1, 8), pit, later, LOST], 1, 0.05) == [], "no fall to settle"
    least = fall(before, later)
    assert doubters([before, pit, later, LOST], 1, least) == [pit, later], "a fall must be larger than the least"


def test_a_revisited_step_gets_as_many_rollouts_again_and_is_sequential_then():
    search = make_search("exhaustive", [Solution("s", ("a\n", "b\n", "c"), False)], SearchSettings(rollouts=4), 3, 4)
    while batch := search.next_batch(8):
        for ask in batch:
            search.observe(ask, "failure")
    path = search.tree.paths["s"]
    asks = search.revisit([path[1], path[1], path[3]])
    assert [(ask.step_index, ask.index) for ask in asks] == [(0, 4), (0, 5), (0, 6), (0, 7)]
    for ask in asks:
        search.observe(ask, "success")
    values = search.values()["s"]
    assert (values[0].rollouts, values[0].q, values[0].estimator) == (8, 0.5, "sequential")
    assert [value.estimator for value in values[1:]] == ["sequential", "fixed_n"]
    assert search.revisit([path[1]]) == [], "once for each step"


def test_a_spent_budget_pays_for_no_second_visit():
    search = make_search("exhaustive", [Solution("s", ("a\n", "b"), False)],
                         SearchSettings(rollouts=2, token_budget=10), 1, 2)
    for ask in search.next_batch(8):
        search.observe(ask, "failure", tokens=5)
    assert search.revisit([search.tree.paths["s"][1]]) == []
