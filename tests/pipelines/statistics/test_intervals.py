"""Shares, intervals and kappas against values worked out by hand."""

import random

import pytest

from stepforge.pipelines.statistics.intervals import (
    NANO,
    Ratio,
    Stratum,
    Sums,
    allocate,
    kappa,
    mean_interval,
    ratio_interval,
    stratified_rate,
    student,
    wilson,
)


@pytest.mark.parametrize(("hits", "n", "low", "high"), [
    (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
])
def test_wilson_is_the_published_interval(hits, n, low, high):
    assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


def test_kappa_of_the_textbook():
    """Both say yes 20 times, both no 15, one alone 5, the other alone 10: (0.7 - 0.5) / (1 - 0.5)."""
    pairs = [("y", "y")] * 20 + [("n", "n")] * 15 + [("y", "n")] * 5 + [("n", "y")] * 10
    assert kappa(pairs) == pytest.approx(0.4)


@pytest.mark.parametrize(("pairs", "value"), [
    ([], None),
    ([("y", "y")] * 3, None),
    ([("y", "y"), ("n", "n")], 1.0),
    ([("y", "n"), ("n", "y")], -1.0),
    ([("y", "y"), ("n", "y")], 0.0),
])
def test_kappa_at_the_ends(pairs, value):
    assert kappa(pairs) == value


def test_strata_count_by_their_size_not_by_their_sample():
    """900 of which 1 in 10 is a hit, 100 of which 9 in 10 are: 0.9 * 0.1 + 0.1 * 0.9."""
    rate = stratified_rate([[Stratum(900, 10, 1), Stratum(100, 10, 9)]])
    assert rate.share == pytest.approx(0.18)
    assert (rate.low, rate.high) == pytest.approx(wilson(0.18, 1 / (0.81 / 10 + 0.01 / 10)))
    assert (rate.judged, rate.open) == (20, 0)


def test_one_stratum_is_plain_wilson():
    rate = stratified_rate([[Stratum(1000, 20, 5)]])
    assert (rate.low, rate.high) == pytest.approx(wilson(0.25, 20))


def test_two_samples_of_one_population_are_pooled():
    once = stratified_rate([[Stratum(1000, 20, 5)]])
    twice = stratified_rate([[Stratum(1000, 10, 2)], [Stratum(1000, 10, 3)]])
    assert twice == pytest.approx(once)


def test_stratum_that_nobody_judged_is_told():
    rate = stratified_rate([[Stratum(900, 10, 1), Stratum(100, 0, 0)]])
    assert (rate.share, rate.open) == (0.1, 100)
    assert stratified_rate([[Stratum(900, 0, 0)]]) is None and stratified_rate([]) is None


def test_interval_of_a_stratified_sample_covers():
    """2,000 draws of samples at a nominal 95%; the odds of a count below 1,840 by chance are under 1e-8."""
    rng = random.Random(0)
    strata, truth = ((980, 15, 0.05), (20, 10, 0.6)), 0.98 * 0.05 + 0.02 * 0.6
    covered, total = 0, 0.0
    for _ in range(2000):
        rate = stratified_rate([[Stratum(size, n, sum(rng.random() < p for _ in range(n))) for size, n, p in strata]])
        covered += rate.low <= truth <= rate.high
        total += rate.share
    assert covered >= 1840
    assert total / 2000 == pytest.approx(truth, abs=0.0062), "unbiased: 5 standard errors of the mean"


def test_allocation_gives_every_stratum_something_and_nothing_that_is_not_there():
    drawn = allocate({"large": 10_000, "middle": 100, "one": 1}, 50)
    assert sum(drawn.values()) == 50 and drawn["one"] == 1
    assert drawn["large"] > drawn["middle"] >= 4 and drawn["large"] / drawn["middle"] == pytest.approx(10, rel=0.25)
    assert allocate({"a": 3, "b": 1}, 50) == {"a": 3, "b": 1}
    with pytest.raises(ValueError, match="at least 5"):
        allocate({"a": 9, "b": 9, "c": 1}, 4)


def sums(values):
    nano = [round(value * NANO) for value in values]
    return Sums(len(nano), sum(nano), sum(value * value for value in nano))


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.1824), (9, 2.2622), (30, 2.0423), (1000, 1.9623)])
def test_student_is_the_tabled_quantile(freedom, quantile):
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


def test_interval_of_a_mean_is_the_textbooks():
    """2, 4, 6, 8: mean 5, standard error 1.291, 3 degrees of freedom."""
    ends = 5 - 3.18 * 1.291, 5 + 3.18 * 1.291
    assert mean_interval(sums([2, 4, 6, 8]), share=False) == pytest.approx(ends, abs=0.03)
    assert mean_interval(sums([7]), share=False) is None
    assert mean_interval(sums([3, 3, 3]), share=False) == (3, 3)


def test_interval_of_shares_that_are_all_alike_has_a_width():
    low, high = mean_interval(sums([1.0] * 10), share=True)
    assert 0.6 < low < 0.8 and high == 1.0
    assert mean_interval(sums([0.0]), share=True)[0] == 0.0


@pytest.mark.parametrize(("n", "mean"), [(10, 0.9), (10, 0.5), (40, 0.97), (200, 0.02)])
def test_interval_of_shares_covers(n, mean):
    """2,000 draws at a nominal 95%, of shares that are mostly 0 or 1; 90% is missed by chance once in 10^9."""
    draw = random.Random(n)
    held = 0
    for _ in range(2000):
        values = [float(draw.random() < mean) if draw.random() < 0.7 else mean for _ in range(n)]
        low, high = mean_interval(sums(values), share=True)
        held += low <= mean <= high
    assert held >= 1800


def test_interval_of_a_ratio_counts_problems_and_not_samples():
    """Ten problems with 50 equal samples each say what ten samples say; 2,000 draws, 90% is missed once in 10^9."""
    draw, held = random.Random(2), 0
    for _ in range(2000):
        amounts = [(round(draw.gauss(100, 20) * 50), 50) for _ in range(10)]
        ratio = Ratio(10, sum(t for t, _ in amounts), 500, sum(t * t for t, _ in amounts),
                      sum(t * c for t, c in amounts), sum(c * c for _, c in amounts))
        low, high = ratio_interval(ratio)
        held += low <= 100 <= high
    assert 1800 <= held < 1990
    assert ratio_interval(ratio._replace(problems=1)) is None
