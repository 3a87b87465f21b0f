"""Estimators are unbiased and intervals cover, checked exactly where enumeration can do it."""

import itertools
import math
from collections.abc import Callable

import pytest

from stepforge.pipelines.credit.advantages import (
    Interval,
    StepValue,
    argmin_q,
    best_of_k,
    clopper_pearson,
    confidence_sequence,
    difference,
    first_success_bias,
    largest_drop,
    q_fixed,
    zero_success,
)

GRID = [0.0, 0.003, 0.02, 0.05, 0.1, 0.25, 0.5, 0.8, 0.97, 1.0]


def binomial(c: int, n: int, q: float) -> float:
    return math.comb(n, c) * q ** c * (1 - q) ** (n - c)


def value(q: float | None, rollouts: int = 16, successes: int | None = None,
          advantage: float | None = 0.0) -> StepValue:
    exact = q if rollouts == 0 and q is not None else None
    low, high = (0.0, 1.0) if exact is None else (exact, exact)
    return StepValue(rollouts, round((q or 0) * rollouts) if successes is None else successes, q, low, high, advantage,
                     -1, 1, "fixed_n")


@pytest.mark.parametrize("q", GRID)
def test_q_from_a_fixed_number_of_rollouts_is_unbiased(q: float) -> None:
    assert sum(binomial(c, 16, q) * q_fixed(c, 16) for c in range(17)) == pytest.approx(q)


@pytest.mark.parametrize("q", GRID)
@pytest.mark.parametrize("k", [1, 2, 5, 16])
def test_best_of_k_is_unbiased_for_every_n_from_k(q: float, k: int) -> None:
    for n in (k, k + 3, 24):
        assert sum(binomial(c, n, q) * best_of_k(c, n, k) for c in range(n + 1)) == pytest.approx(1 - (1 - q) ** k)


@pytest.mark.parametrize("q", [i / 200 for i in range(1, 200)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_fixed_n_intervals_cover_at_least_at_their_level(q: float, level: float) -> None:
    for n in (1, 5, 16, 32):
        covered = sum(binomial(c, n, q) for c in range(n + 1)
                      if clopper_pearson(c, n, level)[0] <= q <= clopper_pearson(c, n, level)[1])
        assert covered >= level - 1e-9


def test_fixed_n_intervals_agree_with_published_ones() -> None:
    assert clopper_pearson(0, 16) == pytest.approx((0.0, 0.2059), abs=1e-4)      # 1 - 0.025 ** (1 / 16)
    assert clopper_pearson(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def ever_misses(interval: Callable[[int, int, float], Interval], q: float, horizon: int, level: float) -> float:
    """Exact probability that an interval misses q at any of the times 1..horizon."""
    alive, missed = {0: 1.0}, 0.0
    for n in range(1, horizon + 1):
        after: dict[int, float] = {}
        for c, p in alive.items():
            for more, chance in ((1, q), (0, 1 - q)):
                after[c + more] = after.get(c + more, 0.0) + p * chance
        alive = {}
        for c, p in after.items():
            low, high = interval(c, n, level)
            if low <= q <= high:
                alive[c] = p
            else:
                missed += p
    return missed


@pytest.mark.parametrize("q", [0.003, 0.05, 0.2, 0.5, 0.9])
def test_a_confidence_sequence_covers_at_all_times_at_once(q: float) -> None:
    """The worst stopping rule there is stops at the first miss; enumerated exactly over 100 rollouts."""
    assert ever_misses(confidence_sequence, q, 100, 0.95) <= 0.05
    assert ever_misses(confidence_sequence, q, 100, 0.80) <= 0.20


def test_a_fixed_n_interval_would_not_survive_that_stopping_rule() -> None:
    """Why the two estimators are told apart."""
    assert ever_misses(clopper_pearson, 0.3, 40, 0.95) > 0.07


def test_a_stop_at_the_first_success_biases_the_plain_ratio() -> None:
    q, n = 0.2, 16
    mean = sum((1 - q) ** (t - 1) * q / t for t in range(1, n + 1))
    assert mean > 1.9 * q


@pytest.mark.parametrize(("before", "after"), [(0.7, 0.7), (0.7, 0.02), (0.3, 0.6)])
def test_advantage_intervals_cover_even_where_the_two_sides_share_rollouts(before: float, after: float) -> None:
    """Enumerated exactly for independent sides and, where Q is the same, for wholly shared ones."""
    n, half = 16, 0.975
    covered = sum(binomial(a, n, after) * binomial(b, n, before) for a in range(n + 1) for b in range(n + 1)
                  if (d := difference(clopper_pearson(a, n, half), clopper_pearson(b, n, half)))[0]
                  <= after - before <= d[1])
    assert covered >= 0.95
    if before == after:
        for c in range(n + 1):
            low, high = difference(clopper_pearson(c, n, half), clopper_pearson(c, n, half))
            assert low <= 0 <= high


def test_pit_rules_name_the_first_step_that_meets_them() -> None:
    values = [value(0.8), value(0.04, successes=1), value(0.0), value(0.5, advantage=0.5), value(0.0, rollouts=0)]
    assert argmin_q(values) == 1 and argmin_q(values, eps=0.0) == 2
    assert zero_success(values, n=16) == 2 and zero_success(values, n=32) == 4
    drops = [value(0.8, advantage=0.1), value(0.3, advantage=-0.5), value(0.0, advantage=-0.5)]
    assert largest_drop(drops) == 1


def test_steps_without_rollouts_are_no_pits_by_default() -> None:
    unknown = value(None, rollouts=0, advantage=None)
    assert argmin_q([unknown, value(0.0)]) == 1
    assert zero_success([unknown, value(0.0)], n=16) == 1
    assert argmin_q([unknown]) is None and largest_drop([unknown]) is None


def test_impossible_counts_are_named() -> None:
    with pytest.raises(ValueError, match="5 successes of 4 rollouts"):
        clopper_pearson(5, 4)
    with pytest.raises(ValueError, match="k is 5 with n = 4 rollouts; allowed: 1 <= k <= n"):
        best_of_k(1, 4, 5)
    with pytest.raises(ValueError, match="confidence level 95"):
        confidence_sequence(1, 4, 95)


def test_bias_of_a_step_that_is_left_at_its_first_success_is_that_of_all_sequences() -> None:
    """Against all 2^6 sequences of outcomes at each Q of a grid, which may miss the worst Q by a little."""
    def estimate(outcomes: tuple[int, ...], k: int) -> float:
        tried = outcomes.index(1) + 1 if 1 in outcomes else len(outcomes)
        return 1 - (1 - int(1 in outcomes) / tried) ** k

    for k in (1, 5):
        worst = max(abs(sum(math.prod(q if won else 1 - q for won in outcomes) * estimate(outcomes, k)
                            for outcomes in itertools.product((0, 1), repeat=6)) - (1 - (1 - q) ** k))
                    for q in (i / 50 for i in range(51)))
        assert worst <= first_success_bias(6, k) <= worst + 0.005
