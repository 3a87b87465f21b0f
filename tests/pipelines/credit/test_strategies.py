"""What each strategy asks for and where it finds the pit, on small policies whose Q is known."""

import random
from collections import Counter

import numpy as np
import pytest

from stepforge.pipelines.credit.adaptive import Adaptive, pit_threshold
from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.search import Ask, Search, SearchSettings, Solution, make_search

TEXT = tuple(f"Step {i}.\n" for i in range(9))


def solution(q: list[float], name: str = "s", correct: bool = False) -> Solution:
    return Solution(name, tuple(f"{name}: {text}" for text in TEXT[:len(q)]), correct, (20,) * len(q))


def drive(search: Search, q: dict[str, list[float]], seed: int = 0, limit: int = 4) -> Counter[int]:
    """Rollouts succeed at rate q[solution][step], at 1/2 from the bare problem. Counts asks for each step."""
    asked: Counter[int] = Counter()
    while batch := search.next_batch(limit):
        for ask in batch:
            rate = q[ask.solution_id][ask.step_index] if ask.step_index >= 0 else 0.5
            won = random.Random(f"{seed} {ask}").random() < rate
            search.observe(ask, "success" if won else "failure", tokens=int(search_cost(search, ask)))
            asked[ask.step_index] += 1
    return asked


def search_cost(search: Search, ask: Ask) -> float:
    return search.tree.owners[ask.solution_id, ask.step_index].cost


def pit(values: list[StepValue]) -> int | None:
    return next((i for i, value in enumerate(values) if value.is_pit), None)


def test_scan_stops_a_step_at_its_first_success_and_the_solution_at_its_first_lost_step() -> None:
    q = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    search = make_search("scan", [solution(q)], SearchSettings(rollouts=8), 5, 10)
    assert drive(search, {"s": q}, limit=1) == {0: 1, 1: 1, 2: 8}
    assert pit(search.values()["s"]) == 2


def test_bisect_needs_few_steps_and_is_misled_by_a_recovery() -> None:
    lost, recovered = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    for q, expected in ((lost, 2), (recovered, 6)):
        search = make_search("bisect", [solution(q)], SearchSettings(rollouts=8), 5, 10)
        asked = drive(search, {"s": q})
        assert len(asked) <= 3
        assert pit(search.values()["s"]) == expected


def test_plain_strategies_leave_correct_solutions_alone_and_exhaustive_does_not() -> None:
    for strategy in ("scan", "bisect"):
        search = make_search(strategy, [solution([0.5, 1.0], correct=True)], SearchSettings(), 5, 10)
        assert search.next_batch(4) == [] and pit(search.values()["s"]) is None
    assert make_search("exhaustive", [solution([0.5, 1.0], correct=True)], SearchSettings(), 16, 16).next_batch(4)


def test_exhaustive_values_are_unbiased() -> None:
    """300 seeded runs of 3 steps; with other seeds a mean would be 4.5 standard errors off once in 50,000 times."""
    q = [0.7, 0.15, 0.4, 0.0]
    sums = np.zeros(3)
    for seed in range(300):
        search = make_search("exhaustive", [solution(q)], SearchSettings(rollouts=8), 4, 8)
        drive(search, {"s": q}, seed, limit=64)
        sums += [value.q or 0.0 for value in search.values()["s"][:3]]
    error = np.sqrt(np.array(q[:3]) * (1 - np.array(q[:3])) / (8 * 300))
    assert np.all(np.abs(sums / 300 - q[:3]) < 4.5 * error)


def random_chain(rng: random.Random) -> list[float]:
    """Q of 6 to 9 steps of a negative: live for a while, then lost, at times back for a step or two."""
    n, at = rng.randint(6, 9), rng.randint(1, 5)
    live, back = rng.uniform(0.3, 0.95), rng.random() < 0.2
    return [live if i < at or (back and at + 2 <= i < at + 4) else rng.uniform(0, 0.02) for i in range(n - 1)] + [0.0]


def test_adaptive_intervals_cover_and_its_pits_cost_less_than_those_of_exhaustive() -> None:
    """40 seeded chains. Covered at 95% each; in expectation of all, with the search free to stop where it likes."""
    rng, hits, tokens = random.Random(1), Counter[str](), Counter[str]()
    covered: list[bool] = []
    for seed in range(40):
        q = random_chain(rng)
        truth = next(i for i, value in enumerate(q) if value <= 0.05)
        for strategy in ("adaptive", "exhaustive"):
            search = make_search(strategy, [solution(q)], SearchSettings(value_weight=0.0), 8, 16)
            drive(search, {"s": q}, seed)
            values = search.values()["s"]
            hits[strategy] += pit(values) == truth
            tokens[strategy] += search.tokens
            if strategy == "adaptive":
                assert all(value.estimator == "sequential" for value in values)
                covered += [value.q_low <= exact <= value.q_high for value, exact in zip(values, q, strict=True)]
                covered += [value.advantage_low <= b - a <= value.advantage_high
                            for value, a, b in zip(values[1:], q, q[1:], strict=False)]
    assert np.mean(covered) >= 0.95
    assert hits["adaptive"] >= hits["exhaustive"] and hits["adaptive"] >= 34
    assert tokens["adaptive"] < 0.35 * tokens["exhaustive"]


def test_adaptive_labels_what_the_model_smoothed_and_keeps_counts_raw() -> None:
    q = [0.9, 0.8, 0.0, 0.0]
    search = make_search("adaptive", [solution(q), solution([0.9, 1.0], "t", correct=True)], SearchSettings(), 8, 16)
    drive(search, {"s": q, "t": [0.9, 1.0]})
    for values in search.values().values():
        for value in values:
            assert value.q_model is not None and value.advantage_model is not None
            assert value.q is None if value.rollouts == 0 and value.q_low < value.q_high else value.q is not None
            if value.rollouts:
                assert value.q == value.successes / value.rollouts
    negative, positive = search.values().values()
    assert pit(negative) == 2 and pit(positive) is None
    assert sum(value.pit_probability or 0 for value in negative) == pytest.approx(1)
    assert positive[0].rollouts > 0


def test_a_settled_negative_gets_no_more_rollouts() -> None:
    q = [0.9, 0.9, 0.0, 0.0, 0.0]
    asked = {}
    for confidence in (0.6, 0.99):
        search = make_search("adaptive", [solution(q)], SearchSettings(confidence=confidence, value_weight=0,
                             min_gain=0), 8, 16)
        asked[confidence] = sum(drive(search, {"s": q}).values())
        assert max(value.pit_probability or 0 for value in search.values()["s"]) >= confidence
    assert asked[0.6] < asked[0.99]


def test_a_step_that_two_solutions_share_is_worth_more_than_one_that_they_do_not() -> None:
    def worth_of_the_first_step(second: str) -> float:
        pair = [Solution("a", ("Shared.\n", "x\n", "y\n", "a"), correct=False),
                Solution("b", (second, "z\n", "w\n", "b"), correct=False)]
        search = Adaptive(pair, SearchSettings(), 8, 16)
        zeros = np.zeros(len(search.tree.nodes))
        return float(search._prices(zeros, zeros)[0][1])

    assert worth_of_the_first_step("Shared.\n") > 1.5 * worth_of_the_first_step("Other.\n")


def test_thresholds_follow_the_rule_and_the_policy() -> None:
    assert pit_threshold(SearchSettings(eps=0.05)) == pytest.approx(0.05)
    best = pit_threshold(SearchSettings(eps=0.05, best_of=5))
    assert 1 - (1 - best) ** 5 == pytest.approx(0.05)
    zero = pit_threshold(SearchSettings(pit="zero_success", rollouts=16))
    assert (1 - zero) ** 16 == pytest.approx(0.5)


def test_what_a_rollout_reads_counts_at_its_price() -> None:
    solution = Solution("s", ("a", "bb", "cccc"), False, (10, 20, 40), prompt_tokens=100)
    assert [solution.cost_after(step) for step in (-1, 0, 1, 2)] == [70, 60, 40, 1]
    assert [solution.cost_after(step, 0.5) for step in (-1, 0, 1, 2)] == [120, 115, 105, 86]
    free, paid = (Adaptive([solution], SearchSettings(read_cost=cost), 8, 16) for cost in (0.0, 10.0))
    zeros = np.zeros(len(free.tree.nodes))
    (late, _), (late_paid, _) = free._prices(zeros, zeros), paid._prices(zeros, zeros)
    assert late[2] / late[1] > 1.3 * late_paid[2] / late_paid[1], "a late step is no longer cheap where it reads much"


def test_a_round_takes_only_steps_whose_price_is_near_the_highest() -> None:
    search = Adaptive([solution([0.9, 0.5, 0.0], name) for name in "abc"], SearchSettings(min_gain=0.1), 8, 16)
    price = np.zeros(len(search.tree.nodes))
    price[[1, 4, 7]] = 1.0, 0.6, 0.4      # the first steps of the three solutions
    price[2] = 0.9                        # another one of the first solution, which is served already
    assert search._dearest(price, 8) == [1, 4] and search._dearest(price, 1) == [1]
    assert search._dearest(price / 12, 8) == []
