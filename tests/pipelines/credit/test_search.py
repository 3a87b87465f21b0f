"""The interface that all strategies share: asks, outcomes, shared prefixes, exclusions, budgets, resuming."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from stepforge.pipelines.credit.advantages import clopper_pearson, difference
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.search import STRATEGIES, Ask, Outcome, Search, SearchSettings, Solution, make_search

SOLUTIONS = [Solution("a", ("Start.\n", "Half is 3.\n", "Wrong turn.\n", "So 5."), correct=False),
             Solution("b", ("Start.\n", "Half is 4.\n", "So 8."), correct=True),
             Solution("c", ("Start.\n", "Half is 3.\n", "So 6."), correct=False)]
Q = {("a", -1): 0.6, ("a", 0): 0.7, ("a", 1): 0.5, ("a", 2): 0.0, ("b", 1): 0.9}


def world(ask: Ask) -> Outcome:
    """A policy whose outcome depends on the ask alone, as a seeded rollout does."""
    draw = random.Random(f"{ask.solution_id} {ask.step_index} {ask.index}").random()
    return "success" if draw < Q[ask.solution_id, ask.step_index] else "failure"


def drive(search: Search, limit: int = 4, shuffle: int = 0, outcome: Callable[[Ask], Outcome] = world) -> list[Ask]:
    asked: list[Ask] = []
    while batch := search.next_batch(limit):
        assert len(batch) <= limit
        asked += batch
        for ask in random.Random(shuffle).sample(batch, len(batch)):
            search.observe(ask, outcome(ask), tokens=10)
    return asked


def at_last(failures: int, ask: Ask) -> Outcome:
    """So many failures at a step, then a success."""
    return "failure" if ask.index < failures else "success"


@pytest.fixture(params=list(STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_exhaustive_asks_n_rollouts_at_every_unfinished_node_once() -> None:
    asked = drive(make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=5)))
    nodes = {("a", -1), ("a", 0), ("a", 1), ("a", 2), ("b", 1)}
    assert sorted(asked) == sorted(Ask(s, i, k) for s, i in nodes for k in range(5))


def test_solutions_with_the_same_prefix_share_its_rollouts() -> None:
    search = make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=5))
    drive(search)
    values = search.values()
    assert values["a"][0][:3] == values["b"][0][:3] == values["c"][0][:3]
    assert values["a"][1][:3] == values["c"][1][:3] != values["b"][1][:3]
    assert search.canonical("c", 1) == ("a", 1) and search.canonical("c", 2) == ("c", 2)


def test_a_finished_solution_costs_no_rollout_and_has_its_verdict_as_q(strategy: str) -> None:
    search = make_search(strategy, SOLUTIONS, SearchSettings())
    drive(search)
    assert [values[-1][:5] for values in search.values().values()] == [
        (0, 0, 0.0, 0.0, 0.0), (0, 0, 1.0, 1.0, 1.0), (0, 0, 0.0, 0.0, 0.0)]


def test_asks_are_distinct_and_do_not_depend_on_the_order_of_outcomes(strategy: str) -> None:
    settings = SearchSettings(rollouts=12)
    paths = [drive(make_search(strategy, SOLUTIONS, settings, 6, 10), shuffle=seed) for seed in range(5)]
    assert len(set(paths[0])) == len(paths[0]) > 0
    assert all(path == paths[0] for path in paths)


def test_a_search_resumed_from_recorded_outcomes_asks_for_the_rest_and_ends_the_same(strategy: str) -> None:
    whole = make_search(strategy, SOLUTIONS, SearchSettings(rollouts=12), 6, 10)
    asked = drive(whole)
    recorded = {ask: world(ask) for ask in asked[:len(asked) // 2 + 1]}     # killed within a batch
    fresh: list[Ask] = []

    def replay(ask: Ask) -> Outcome:
        if ask not in recorded:
            fresh.append(ask)
        return recorded.get(ask) or world(ask)

    resumed = make_search(strategy, SOLUTIONS, SearchSettings(rollouts=12), 6, 10)
    assert drive(resumed, shuffle=3, outcome=replay) == asked
    assert sorted(fresh) == sorted(set(asked) - set(recorded))
    assert resumed.values() == whole.values()


def test_excluded_outcomes_are_asked_again_and_count_neither_way() -> None:
    def flaky(ask: Ask) -> Outcome:
        return "excluded" if ask.index % 3 == 0 else world(ask)

    search = make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=6))
    asked = drive(search, outcome=flaky)
    assert search.values()["a"][0].rollouts == 6
    assert len([ask for ask in asked if (ask.solution_id, ask.step_index) == ("a", 0)]) > 6


def test_a_node_that_only_fails_to_answer_does_not_hold_the_search(strategy: str) -> None:
    search = make_search(strategy, SOLUTIONS, SearchSettings(max_excluded=7))
    asked = drive(search, limit=1, outcome=lambda ask: "excluded")
    value = search.values()["a"][0]
    assert max(Counter((ask.solution_id, ask.step_index) for ask in asked).values()) == 7
    assert search.done and value.rollouts == 0 and value.q is None and (value.q_low, value.q_high) == (0, 1)


def test_a_token_budget_stops_the_search_and_marks_its_values_sequential(strategy: str) -> None:
    search = make_search(strategy, SOLUTIONS, SearchSettings(token_budget=100))
    drive(search)
    assert search.stopped_by_budget and 100 <= search.tokens <= 130
    assert search.values()["a"][1].estimator == "sequential"


def test_base_samples_give_the_bare_value_without_rollouts() -> None:
    search = make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=8), base_successes=3, base_rollouts=8)
    assert all(ask.step_index >= 0 for ask in drive(search))
    assert search.bare()[:3] == (8, 3, 0.375)
    value = search.values()["a"][0]
    assert value.q is not None and value.advantage == value.q - 0.375


def test_an_advantage_shares_its_level_between_two_steps_unless_one_is_exact() -> None:
    search = make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=16, level=0.9))
    drive(search)
    values = search.values()["a"]

    def interval(step: int, level: float) -> tuple[float, float]:
        return clopper_pearson(values[step].successes, 16, level)

    between = difference(interval(1, 0.95), interval(0, 0.95))
    last = difference((0.0, 0.0), interval(2, 0.9))
    assert (values[1].advantage_low, values[1].advantage_high) == pytest.approx(between)
    assert (values[3].advantage_low, values[3].advantage_high) == pytest.approx(last)


def test_a_budget_that_is_spent_to_the_last_token_pays_for_no_further_batch() -> None:
    search = make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=5, token_budget=40))
    assert len(drive(search)) == 4 and search.stopped_by_budget


def test_best_of_k_values_are_on_their_own_scale_and_counts_stay_raw() -> None:
    plain, best = (make_search("exhaustive", SOLUTIONS, SearchSettings(rollouts=16, best_of=k)) for k in (1, 5))
    drive(plain)
    drive(best)
    for one, five in zip(plain.values()["a"], best.values()["a"], strict=True):
        assert one[:2] == five[:2] and one.q is not None and five.q is not None and one.q <= five.q


@pytest.mark.parametrize("truth", [0.03, 0.1, 0.2, 0.35, 0.6, 0.9])
def test_bounds_of_best_of_k_hold_under_a_rule_that_stops_at_the_first_success(truth: float) -> None:
    """Enumerated exactly over all sequences of outcomes that `scan` can see at a step. Where it biases q by more than
    0.1, q_low and q_high hold the value as often as they say; they are those of the plain policy, carried over."""
    first, held, mean = [Solution("a", ("Wrong turn.\n", "So 5."), correct=False)], 0.0, 0.0
    for failures in range(17):
        values = {}
        for k in (1, 5):
            search = make_search("scan", first, SearchSettings(rollouts=16, best_of=k))
            drive(search, limit=1, outcome=partial(at_last, failures))
            values[k] = search.values()["a"][0]
        chance = (1 - truth) ** failures * (truth if failures < 16 else 1)
        best, plain = values[5], values[1]
        assert best.estimator == "sequential" and best.rollouts == min(failures + 1, 16) and best.q is not None
        assert (best.q_low, best.q_high) == pytest.approx([1 - (1 - end) ** 5 for end in (plain.q_low, plain.q_high)])
        held += chance * (best.q_low <= 1 - (1 - truth) ** 5 <= best.q_high)
        mean += chance * best.q
    assert held >= 0.95
    assert truth != 0.1 or mean - (1 - (1 - truth) ** 5) > 0.1


def test_misuse_names_what_is_wrong() -> None:
    search = make_search("exhaustive", SOLUTIONS, SearchSettings())
    batch = search.next_batch(2)
    with pytest.raises(ValueError, match="2 outcomes of the batch before are missing"):
        search.next_batch(2)
    with pytest.raises(ValueError, match="is not open"):
        search.observe(Ask("a", 2, 99), "failure")
    with pytest.raises(ValueError, match="'maybe'"):
        search.observe(batch[0], "maybe")    # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'random' is unknown; allowed: exhaustive"):
        make_search("random", SOLUTIONS, SearchSettings())
    with pytest.raises(ValueError, match="best_of is 20 and rollouts 16"):
        SearchSettings(best_of=20)
    with pytest.raises(ValueError, match="2 solutions carry 1 ids"):
        make_search("exhaustive", [SOLUTIONS[0]] * 2, SearchSettings())


def test_a_search_goes_on_from_what_another_one_found_out() -> None:
    first = make_search("adaptive", SOLUTIONS, SearchSettings(rollouts=6), 6, 10)
    asked = drive(first)
    alone = make_search("scan", SOLUTIONS, SearchSettings(rollouts=6), 6, 10)
    drive(alone)
    second = make_search("scan", SOLUTIONS, SearchSettings(rollouts=6)).take_over(first)
    more = drive(second)
    assert not set(more) & set(asked) and second.tokens == 10 * len(asked + more)
    assert second.values()["a"][0].rollouts >= first.values()["a"][0].rollouts and second.bare().rollouts >= 10
    assert [v.is_pit for v in second.values()["a"]] == [v.is_pit for v in alone.values()["a"]]
    other = make_search("scan", SOLUTIONS[:1], SearchSettings())
    with pytest.raises(ValueError, match="0 open asks and the solutions a, b, c; allowed"):
        other.take_over(first)


LONG = tuple(f"Step {i}.\n" for i in range(40))


@pytest.mark.parametrize("texts", [[("So 5.",)], [("So 5.",), LONG], [("x\n", "y"), ("x\n", "y")],
                                   [("x\n", "y\n"), ("x\n", "y\n", "z")], [("x\ny\n", "z"), ("x\n", "y\n", "v")]])
@pytest.mark.parametrize("outcomes", ["success", "failure", "excluded", "success failure excluded"])
def test_odd_shapes_and_outcomes_leave_every_value_a_number_within_its_interval(
        strategy: str, texts: list[tuple[str, ...]], outcomes: str) -> None:
    """Only incorrect solutions: of one step, of forty, two equal ones, one that continues another, and the same text
    split in two ways."""
    wordings = replace(Chain.default(0.05), spread=0.3)
    solutions = [Solution(str(i), steps, False, computations=steps) for i, steps in enumerate(texts)]
    search = make_search(strategy, solutions, SearchSettings(rollouts=4, max_excluded=2), chain=wordings)
    draws = random.Random(0)
    drive(search, 64, outcome=lambda ask: draws.choice(outcomes.split()))        # type: ignore[arg-type]
    for values in search.values().values():
        assert sum(value.is_pit for value in values) <= 1 and values[-1].q == 0
        for value in values:
            assert (value.q is None) == (value.rollouts == 0 and value is not values[-1])
            assert 0 <= value.q_low <= (value.q_low if value.q is None else value.q) <= value.q_high <= 1
            if strategy == "adaptive":
                model = (value.q_model_low, value.q_model, value.q_model_high)
                assert list(model) == sorted(model)                              # type: ignore[type-var]
                assert value.pit_probability is not None and 0 <= value.pit_probability <= 1 + 1e-9
        if strategy == "adaptive":
            assert sum(value.pit_probability or 0 for value in values) == pytest.approx(1)
