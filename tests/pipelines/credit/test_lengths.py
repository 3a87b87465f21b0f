"""The search learns from rollouts how long rollouts get, and prices steps by it."""

from dataclasses import replace

import numpy as np
import pytest

from stepforge.pipelines.credit import lengths
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.lengths import Seen, expected_length
from stepforge.pipelines.credit.search import SearchSettings, Solution

SOLUTIONS = [Solution("a", ("1\n", "2\n", "3\n"), False, (30, 20, 10)), Solution("b", ("4\n", "5\n"), False, (10, 10))]


def test_a_fit_finds_the_law_that_many_rollouts_follow() -> None:
    """Lengths of 2 typical ones - 0.5 x what is written; the solution's own rest says nothing."""
    rng = np.random.default_rng(0)
    seen = [Seen(rest, before, 1000, 1000 * (200 - 0.5 * before)) for rest, before in rng.uniform(10, 100, (50, 2))]
    assert lengths.fit(seen, 100) == pytest.approx([2, 0, -0.5], abs=0.02)


def test_a_step_counts_for_as_many_rollouts_as_were_made_after_it() -> None:
    parted = [Seen(50, 10, 3, 210), Seen(50, 10, 1, 50), Seen(20, 40, 2, 90)]
    together = [Seen(50, 10, 4, 260), Seen(20, 40, 2, 90)]
    assert lengths.fit(parted, 60) == pytest.approx(lengths.fit(together, 60))


def test_without_rollouts_a_rollout_is_as_long_as_the_rest_of_its_solution() -> None:
    assert tuple(lengths.fit([], 100)) == lengths.UNFITTED
    assert expected_length(np.array(lengths.UNFITTED), np.array([7.0, 40.0]), np.array([3.0, 0.0]), 100).tolist() == \
        [7.0, 40.0]


def test_no_rollout_is_expected_to_be_shorter_than_a_twentieth_of_a_solution() -> None:
    assert expected_length(np.array([0.5, 0.0, -1.0]), np.array([9.0]), np.array([90.0]), 100).tolist() == [5.0]


def test_steps_are_priced_by_expected_length_and_by_what_is_read() -> None:
    settings = SearchSettings(typical_length=40, read_cost=0.1)
    search = Adaptive(SOLUTIONS, settings)
    assert search._cost * 40 == pytest.approx([60, 30 + 3, 10 + 5, 2 + 6, 10 + 1, 2 + 2], abs=1.01)
    search.learn(replace(Chain.default(), lengths=np.array([1.0, 0.0, -0.5])))
    assert search._cost * 40 == pytest.approx([40, 25 + 3, 15 + 5, 10.5 + 6, 35 + 1, 30.5 + 2], abs=1.01)


def test_lengths_seen_are_those_of_counted_rollouts_without_base_samples() -> None:
    search = Adaptive(SOLUTIONS, SearchSettings(min_gain=0.0), base_successes=3, base_rollouts=9)
    for _ in range(6):
        for ask in search.next_batch(8):
            search.observe(ask, "excluded" if ask.index == 0 else "failure", tokens=7, written=20)
    seen = search.lengths()
    made = {node.cost: node.rollouts for node in search.tree.nodes[1:] if node.rollouts}
    assert made and {each.rest: each.rollouts for each in seen} == made
    assert all(each.written == 20 * each.rollouts and each.rest + each.before in (20, 60) for each in seen)


def test_a_fit_of_values_keeps_the_lengths_of_the_model() -> None:
    model = replace(Chain.default(), lengths=np.array([1.0, 0.0, -0.5]))
    assert model.fit(Adaptive(SOLUTIONS, SearchSettings()).evidence(), rounds=2).lengths.tolist() == [1.0, 0.0, -0.5]


def test_tokens_are_the_length_where_nothing_else_is_told() -> None:
    search = Adaptive(SOLUTIONS, SearchSettings(min_gain=0.0))
    for ask in search.next_batch(8):
        search.observe(ask, "success", tokens=7)
    assert {each.written / each.rollouts for each in search.lengths()} == {7.0}
