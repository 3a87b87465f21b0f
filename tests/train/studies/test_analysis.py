"""The multiplier is exact where the truth is known, and a bound, never a guess, where SFT's range ends."""

import numpy as np
import pytest

from stepforge.train.studies.analysis import (
    Multiplier,
    _at_size,
    analyse,
    expected_coverage,
    fit_power_law,
    local_slope,
    middle,
    multiplier,
    paired,
    reached,
)
from stepforge.train.studies.reporting import differences, table, to_most_sft

SIZES = [128, 256, 512, 1024, 2048]


def law(size: float) -> float:
    return 2.0 * size**-0.25


def test_power_law_is_found_exactly() -> None:
    law_parameters = fit_power_law(SIZES, [law(size) for size in SIZES])
    assert law_parameters == pytest.approx((2.0, 0.25, 1.0))


@pytest.mark.parametrize(("size", "factor"), [(128, 1.0), (128, 2.0), (256, 4.0), (512, 3.0), (1024, 0.5), (300, 1.7)])
def test_arm_worth_so_many_times_the_data_has_this_multiplier(size: int, factor: float) -> None:
    fitted = multiplier(SIZES, [law(size) for size in SIZES], size, law(size * factor))
    assert fitted.bound == "exact" and fitted.value == pytest.approx(factor)


def test_error_beyond_what_sft_reached_is_a_bound_at_the_end_of_its_range() -> None:
    curve = [law(size) for size in SIZES]
    assert multiplier(SIZES, curve, 512, law(4096)) == Multiplier(4.0, "at least")
    assert multiplier(SIZES, curve, 512, law(64)) == Multiplier(0.25, "at most")
    assert str(Multiplier(4.0, "at least")) == "≥4.00x"


def test_curve_that_rises_stays_at_what_it_reached_and_a_plateau_counts_as_near_to_one_as_it_can() -> None:
    assert reached([0.5, 0.3, 0.4, 0.2]).tolist() == [0.5, 0.3, 0.3, 0.2]
    assert multiplier([512, 4096], [0.76, 0.82], 512, 0.76) == Multiplier(1.0)
    assert multiplier([512, 4096], [0.76, 0.82], 512, 0.77) == Multiplier(1.0, "at most")
    assert multiplier([512, 4096], [0.76, 0.82], 512, 0.75) == Multiplier(8.0, "at least")
    assert multiplier([100, 200, 400], [0.5, 0.3, 0.3], 100, 0.3) == Multiplier(2.0)
    assert multiplier([100, 200, 400], [0.5, 0.3, 0.3], 300, 0.3) == Multiplier(1.0)
    assert multiplier([100, 200, 400], [1.0, 1.0, 1.0], 800, 1.0) == Multiplier(0.5)


def test_error_of_nought_has_a_multiplier() -> None:
    assert multiplier([100, 200], [0.5, 0.0], 100, 0.0) == Multiplier(2.0)
    assert 1.0 < multiplier([100, 200], [0.5, 0.0], 100, 0.1).value < 2.0


def test_median_of_bounds_is_a_bound() -> None:
    multipliers = [Multiplier(2.0), Multiplier(4.0, "at least"), Multiplier(1.5), Multiplier(8.0, "at least")]
    assert middle(multipliers) == Multiplier(2.0)
    assert middle(multipliers[1:]) == Multiplier(4.0, "at least")
    assert middle([Multiplier(0.5, "at most"), Multiplier(3.0)]) == Multiplier(0.5, "at most")


@pytest.mark.parametrize(("sizes", "curve"), [([100], [0.1]), ([200, 100], [0.1, 0.2]), ([100, 200], [0.1])])
def test_curve_that_cannot_be_read_is_refused(sizes: list[int], curve: list[float]) -> None:
    with pytest.raises(ValueError, match="needed are two or more"):
        multiplier(sizes, curve, 100, 0.1)


def simulated(factor: float) -> dict[tuple[str, int, int], np.ndarray]:
    """Three seeds of SFT and of an arm that is worth `factor` times the data, on 4,000 shared problems.

    A problem is solved where its difficulty lies under the accuracy, so the arms differ by their error alone.
    """
    rng = np.random.default_rng(0)
    solved = {}
    for seed in range(3):
        shift = np.exp(rng.normal(0, 0.02))
        hard = rng.random(4000)
        for size in SIZES:
            for arm, worth in (("sft", 1.0), ("arm", factor)):
                solved[arm, size, seed] = hard > law(size * worth) * shift
    return solved


def test_interval_holds_the_true_multiplier_and_excludes_one() -> None:
    results = {result.arm: result for result in analyse(simulated(2.0), seed=0, resamples=100)}
    arm = results["arm"]
    assert arm.overall.bound == "exact" and arm.overall.value == pytest.approx(2.0, rel=0.1)
    assert 1.0 < arm.low.value <= arm.overall.value <= arm.high.value < 3.0
    assert arm.multipliers[2048].bound == "at least" and arm.multipliers[2048].value == 1.0
    assert results["sft"].overall.value == pytest.approx(1.0)
    assert arm.law and arm.law.exponent == pytest.approx(0.25, abs=0.05)


def test_arm_beyond_the_whole_range_is_censored_overall() -> None:
    arm = {result.arm: result for result in analyse(simulated(64.0), seed=0, resamples=50)}["arm"]
    assert {one.bound for one in arm.multipliers.values()} == {"at least"}
    assert arm.overall.bound == arm.low.bound == arm.high.bound == "at least"


def test_each_size_has_an_interval_a_ratio_and_the_slope_of_the_baseline() -> None:
    """Two times the data at slope .25 is an error ratio of 2 ** -.25."""
    results = {result.arm: result for result in analyse(simulated(2.0), seed=0, resamples=100)}
    for size in SIZES[:-1]:
        at = results["arm"].sizes[size]
        assert at.ratio == pytest.approx(2**-0.25, abs=0.04) and at.ratio_low < at.ratio < at.ratio_high < 1
        assert at.slope == pytest.approx(0.25, abs=0.1) and at.seeds == 3
        assert 1 < at.low.value <= at.multiplier.value <= at.high.value
    assert results["sft"].sizes[256].ratio == results["sft"].sizes[256].ratio_high == 1.0


def test_slope_is_taken_between_the_neighbours_and_at_an_end_from_one_of_them() -> None:
    curve = {100: 0.8, 200: 0.4, 400: 0.4}
    assert local_slope(curve, 100) == pytest.approx(1.0)
    assert local_slope(curve, 200) == pytest.approx(0.5)
    assert local_slope(curve, 400) == pytest.approx(0.0)
    assert np.isnan(local_slope({100: 0.8}, 100))


def test_table_has_a_line_for_every_arm_and_size() -> None:
    lines = table(analyse(simulated(2.0), seed=0, resamples=20)).splitlines()
    assert len(lines) == 2 + 2 * len(SIZES)
    assert lines[2].startswith("| 128 | `sft` | 3 | 0.")
    assert "| 1.00 (1.00 to 1.00) | 1.00x (1.00x to 1.00x) |" in lines[2]


def test_every_two_arms_are_compared_at_each_size_over_the_seeds_that_both_have() -> None:
    better, worse = np.array([True, True, True, False] * 100), np.array([True, False] * 200)
    solved = {("sft", 8, 0): worse, ("sft", 8, 1): worse, ("rft", 8, 1): better, ("awr", 8, 2): better,
              ("sft", 16, 0): better, ("base", 0, 0): worse}
    by_size = differences(solved)
    assert {size: set(pairs) for size, pairs in by_size.items()} == {8: {"rft - sft"}, 16: set()}
    mean, low, high = by_size[8]["rft - sft"]
    assert mean == pytest.approx(-0.25) and low < mean < high < 0


def test_intervals_leave_out_a_fortieth_of_the_draws_at_either_end() -> None:
    drawn = [(Multiplier(float(one)), one / 1000) for one in range(1001)]
    at = _at_size({8: 0.5, 16: 0.25}, 8, 0.4, Multiplier(500.0), drawn[::-1], 3)
    assert (at.low, at.high) == (Multiplier(25.0), Multiplier(975.0))
    assert (at.ratio, at.ratio_low, at.ratio_high) == pytest.approx((0.8, 0.025, 0.975))


def test_a_difference_of_two_seeds_is_as_uncertain_as_the_seeds_are() -> None:
    """One draw of two seeds in four is of one of them alone."""
    solved, not_solved = np.ones(50, bool), np.zeros(50, bool)
    assert paired({0: solved, 1: not_solved}, {0: solved, 1: solved, 2: solved}) == [0.5, 0.0, 1.0]


def test_arms_are_compared_with_sft_on_the_most_problems() -> None:
    good, half, bad = np.array([True] * 400), np.array([True, False] * 200), np.array([False] * 400)
    solved = {("sft", 8, 0): bad, ("rft", 8, 0): good, ("rft", 8, 1): half, ("rft", 16, 0): half, ("sft", 32, 0): half,
              ("rft", 64, 0): good, ("base", 0, 0): bad}
    assert to_most_sft(solved) == {8: {"rft": [-0.5, pytest.approx(-0.55, abs=0.02), pytest.approx(-0.45, abs=0.02)]},
                                   16: {"rft": [0.0, 0.0, 0.0]}}


def test_baseline_of_one_size_is_refused() -> None:
    one_size = {key: row for key, row in simulated(2.0).items() if key[1] == 128}
    with pytest.raises(ValueError, match="needed are two or more"):
        analyse(one_size, seed=0, resamples=2)


def test_expected_coverage_is_that_of_problems_whose_rates_are_drawn_from_a_beta_distribution() -> None:
    """200,000 problems: the share that one of k samples solves is off by .005 once in 10,000 runs."""
    rng = np.random.default_rng(0)
    for rate, samples, spread in ((0.36, 10, 1.0), (0.48, 4, 1.0), (0.3, 3, 4.0)):
        rates = rng.beta(rate * spread, (1 - rate) * spread, 200_000)
        share = float((rng.binomial(samples, rates) > 0).mean())
        assert expected_coverage(rate, samples, spread) == pytest.approx(share, abs=0.005)
    assert expected_coverage(0.3, 1) == pytest.approx(0.3)
    assert [expected_coverage(rate, 5) for rate in (0.0, 1.0)] == [0.0, 1.0]
