"""With how many times the problems does SFT reach a method's error: fits of error against size, and the multiplier.

In: of every run its arm, its size (unique problems), its seed and which of the shared test problems it solved. Out:
mean errors, the power law of each arm, and the multiplier: an arm that reaches with D problems the error that SFT
reaches with D' has the multiplier D'/D. The SFT curve is read between its measured sizes only. An error below
what SFT reached at its largest size, or above that at its smallest, gives a bound, marked as such, never a number from
beyond. Intervals come from a bootstrap over seeds and test problems together, the same draw for every arm, so that
what all arms share does not blur their difference.
"""

from collections.abc import Mapping, Sequence
from math import exp, lgamma
from typing import Literal, NamedTuple

import numpy as np

Bound = Literal["exact", "at least", "at most"]
TINY = 1e-12  # errors of 0 have no logarithm
Solved = Mapping[tuple[str, int, int], np.ndarray]  # (arm, size, seed) to one bool a test problem


class PowerLaw(NamedTuple):
    """error = scale * size ** -exponent, and the share of the variance of log error that it explains."""

    scale: float
    exponent: float
    r_squared: float


class Multiplier(NamedTuple):
    """How many times the SFT data would be needed for the same error; a bound where SFT's range ends first."""

    value: float
    bound: Bound = "exact"

    def __str__(self) -> str:
        return {"exact": "", "at least": "≥", "at most": "≤"}[self.bound] + f"{self.value:.2f}x"


def fit_power_law(sizes: Sequence[float], errors: Sequence[float]) -> PowerLaw:
    """Least squares in the logarithms. ValueError for fewer than two sizes or an error that is not positive."""
    if len(set(sizes)) < 2 or len(sizes) != len(errors) or min(errors) <= 0:
        raise ValueError(f"power law: sizes {list(sizes)}, errors {list(errors)}; needed: two sizes, errors above 0")
    x, y = np.log(sizes), np.log(errors)
    slope, level = np.polyfit(x, y, 1)
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - level - slope * x) ** 2).sum())
    return PowerLaw(float(np.exp(level)), float(-slope), 1.0 - left / spread if spread else 1.0)


def reached(errors: Sequence[float]) -> np.ndarray:
    """The least error up to each size: where more data make SFT worse, nobody needs to use them."""
    return np.minimum.accumulate(np.asarray(errors, float))


def multiplier(sizes: Sequence[int], sft_errors: Sequence[float], size: int, error: float) -> Multiplier:
    """The multiplier of an arm with `error` at `size`, off the SFT curve, log-linear between ascending `sizes`.

    Raises ValueError unless there are two sizes or more, ascending.
    """
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or len(sft_errors) != len(sizes):
        raise ValueError(f"multiplier: SFT sizes are {list(sizes)}; needed are two or more, ascending, an error each")
    curve = reached(sft_errors)
    if error < curve[-1]:
        return Multiplier(sizes[-1] / size, "at least")
    if error > curve[0]:
        return Multiplier(sizes[0] / size, "at most")
    right = int(np.argmax(curve <= error))  # the first size that is as good
    if curve[right] == error:  # perhaps a plateau: any of its sizes would do, so claim the one nearest to `size`
        last = len(sizes) - 1 - int(np.argmax(curve[::-1] == error))
        return Multiplier(min(max(size, sizes[right]), sizes[last]) / size)
    high, low, at = (float(np.log(max(v, TINY))) for v in (curve[right - 1], curve[right], error))
    share = (high - at) / (high - low)
    x = np.log(sizes[right - 1]) + share * (np.log(sizes[right]) - np.log(sizes[right - 1]))
    return Multiplier(float(np.exp(x)) / size)


def middle(multipliers: Sequence[Multiplier]) -> Multiplier:
    """Lower median of multipliers; a bound counts as beyond every number on its side, and stays a bound."""
    return ordered(multipliers)[(len(multipliers) - 1) // 2]


def ordered(multipliers: Sequence[Multiplier]) -> list[Multiplier]:
    """From "at most" over the numbers to "at least", each by value: the order in which quantiles are taken."""
    rank = {"at most": 0, "exact": 1, "at least": 2}
    return sorted(multipliers, key=lambda one: (rank[one.bound], one.value))


def errors(solved: Solved, arm: str, problems: np.ndarray | None = None, seeds: Sequence[int] | None = None
           ) -> dict[int, float]:
    """Mean error of an arm at each size, over the seeds and problems given (repeats count), or over all of them."""
    by_size: dict[int, list[float]] = {}
    for size in sorted({size for name, size, _ in solved if name == arm}):
        for seed in seeds if seeds is not None else sorted({s for a, z, s in solved if (a, z) == (arm, size)}):
            if (arm, size, seed) in solved:
                row = solved[arm, size, seed]
                by_size.setdefault(size, []).append(1.0 - float((row if problems is None else row[problems]).mean()))
    return {size: float(np.mean(values)) for size, values in by_size.items()}


class AtSize(NamedTuple):
    """One arm at one size: its error, the multiplier, and what that rests on.

    `ratio` is its error as a share of the baseline's at the same size. `slope` is the local slope of the baseline's
    curve, -d log(error) / d log(size), between the sizes beside this one: the flatter it is, the more a small
    difference in error is worth, and at 0 no number of problems makes up for one. Intervals are 95%.
    """

    error: float
    multiplier: Multiplier
    low: Multiplier
    high: Multiplier
    ratio: float
    ratio_low: float
    ratio_high: float
    slope: float
    seeds: int


class ArmResult(NamedTuple):
    """One arm: what it is at each size, the median multiplier over sizes with a 95% interval, and the power law."""

    arm: str
    sizes: dict[int, AtSize]
    overall: Multiplier
    low: Multiplier
    high: Multiplier
    law: PowerLaw | None

    @property
    def errors(self) -> dict[int, float]:
        return {size: at.error for size, at in self.sizes.items()}

    @property
    def multipliers(self) -> dict[int, Multiplier]:
        return {size: at.multiplier for size, at in self.sizes.items()}


def analyse(solved: Solved, seed: int, resamples: int = 1000, baseline: str = "sft") -> list[ArmResult]:
    """Every arm against the baseline. Raises ValueError where the baseline has fewer than two sizes."""
    arms = sorted({arm for arm, _, _ in solved})
    everyone = sorted({s for _, _, s in solved})
    count = len(next(iter(solved.values())))
    rng = np.random.default_rng(seed)
    draws: dict[str, list[Multiplier]] = {arm: [] for arm in arms}
    at: dict[tuple[str, int], list[tuple[Multiplier, float]]] = {}
    for _ in range(resamples):
        problems = rng.integers(count, size=count)
        seeds = [everyone[i] for i in rng.integers(len(everyone), size=len(everyone))]
        base = errors(solved, baseline, problems, seeds)
        for arm in arms:
            drawn = errors(solved, arm, problems, seeds)
            by_size = _multipliers(base, drawn)
            for size, one in by_size.items():
                if size in base:
                    at.setdefault((arm, size), []).append((one, drawn[size] / max(base[size], TINY)))
            if by_size:
                draws[arm].append(middle(list(by_size.values())))
    base, results = errors(solved, baseline), []
    if len(base) < 2:
        raise ValueError(f"analyse: {baseline} has the sizes {list(base)}; needed are two or more")
    for arm in arms:
        error_of = errors(solved, arm)
        by_size = _multipliers(base, error_of)
        fits = len(error_of) > 1 and min(error_of.values()) > 0
        law = fit_power_law(list(error_of), list(error_of.values())) if fits else None
        low, high = _edges(ordered(draws[arm]))
        sizes = {size: _at_size(base, size, error_of[size], by_size[size], at.get((arm, size), []),
                                sum((arm, size, s) in solved for s in everyone)) for size in error_of}
        results.append(ArmResult(arm, sizes, middle(list(by_size.values())), low, high, law))
    return results


def _at_size(base: dict[int, float], size: int, error: float, point: Multiplier,
             drawn: Sequence[tuple[Multiplier, float]], seeds: int) -> AtSize:
    low, high = _edges(ordered([one for one, _ in drawn])) if drawn else (point, point)
    ratios = [ratio for _, ratio in drawn] or [float("nan")]
    ratio = error / max(base[size], TINY) if size in base else float("nan")
    ratio_low, ratio_high = (float(edge) for edge in np.quantile(ratios, (0.025, 0.975)))
    return AtSize(error, point, low, high, ratio, ratio_low, ratio_high, local_slope(base, size), seeds)


def _edges(drawn: Sequence[Multiplier]) -> tuple[Multiplier, Multiplier]:
    return drawn[int(0.025 * (len(drawn) - 1))], drawn[int(0.975 * (len(drawn) - 1))]


def local_slope(base: Mapping[int, float], size: int) -> float:
    """-d log(error) / d log(size) of a curve, from the nearest sizes below and above (or `size` itself at an end)."""
    below = max((other for other in base if other < size), default=min(base))
    above = min((other for other in base if other > size), default=max(base))
    if below == above or min(base[below], base[above]) <= 0:
        return float("nan")
    return float(-np.log(base[above] / base[below]) / np.log(above / below))


def _multipliers(base: dict[int, float], error_of: dict[int, float]) -> dict[int, Multiplier]:
    if len(base) < 2:
        return {}
    return {size: multiplier(list(base), list(base.values()), size, error) for size, error in error_of.items()}


def expected_coverage(pass_rate: float, samples: int, spread: float = 1.0) -> float:
    """Share of problems that one of `samples` solves, if their success rates follow a Beta distribution.

    Its mean is `pass_rate` and its two parameters add up to `spread`: 1 - B(a, b + samples) / B(a, b). The smaller the
    spread, the more problems are always or never solved.
    """
    if not 0 < pass_rate < 1:
        return float(pass_rate > 0)
    b = (1 - pass_rate) * spread
    return 1 - exp(lgamma(b + samples) - lgamma(b) - lgamma(spread + samples) + lgamma(spread))


def paired(ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray], resamples: int = 1000) -> list[float]:
    """Error of `ours` less that of `theirs` over the seeds that both have, then its 95% interval.

    Seeds and problems are resampled together, the same for both. Empty where no seed is shared.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return []
    rng = np.random.default_rng(0)
    gaps = np.stack([theirs[seed].astype(float) - ours[seed] for seed in seeds])  # (seeds, problems)
    drawn = []
    for _ in range(resamples):
        chosen = gaps[rng.integers(len(seeds), size=len(seeds))]
        drawn.append(chosen[:, rng.integers(gaps.shape[1], size=gaps.shape[1])].mean())
    return [float(gaps.mean()), *(float(edge) for edge in np.quantile(drawn, (0.025, 0.975)))]
