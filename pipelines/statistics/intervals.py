"""How often, and how sure: means and shares with their intervals, and agreement between two judges.

In: counts. Out: estimates at 95%. Nothing here reads a table.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

Z = 1.959964  # two-sided 95% of the standard normal


class Stratum(NamedTuple):
    """What is known of one stratum: its size, how many of it were judged, and how many of those were hits."""

    size: int
    judged: int
    hits: int


class Rate(NamedTuple):
    """A share with its 95% interval; `judged` members decide it, strata without one (`open` members) say nothing."""

    share: float
    low: float
    high: float
    judged: int
    open: int


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's interval for a share of n draws (Wilson 1927; Brown, Cai, DasGupta 2001, eq. 4). n > 0, also broken."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


NANO = 10**9


class Sums(NamedTuple):
    """A number of values with the sums of them and of their squares, in whole billionths: exact in any order."""

    n: int
    total: int
    squares: int


def mean_interval(sums: Sums, share: bool) -> tuple[float, float] | None:
    """95% interval of a mean over problems; none where one problem alone says nothing of the spread.

    Student's, in general. Of values from 0 to 1 (`share`), where those of a few problems are often alike, two values
    of 0 and two of 1 are added first: for values that are 0 or 1 this is the interval of Agresti and Coull (1998), and
    it never has a width of nothing.
    """
    n, total, squares = sums
    if share:
        n, total, squares = n + 4, total + 2 * NANO, squares + 2 * NANO**2
    if n < 2:
        return None
    mean, half = total / n / NANO, student(n - 1) * sqrt((n * squares - total * total) / (n - 1)) / n / NANO
    observed = sums.total / sums.n / NANO
    low, high = min(mean - half, observed), max(mean + half, observed)
    return (max(0.0, low), min(1.0, high)) if share else (max(0.0, low), high)


def student(freedom: int) -> float:
    """97.5% quantile of Student's t (Abramowitz and Stegun 26.7.5; off by 3% at 2 degrees, by 0.02% at 10)."""
    z, inverse = Z, 1 / freedom
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term * inverse ** (power + 1) for power, term in enumerate(terms))


class Ratio(NamedTuple):
    """Sums over problems of a total t, a count c, and their products: enough for sum(t) / sum(c) and its spread."""

    problems: int
    total: int
    counted: int
    total_squared: int
    total_count: int
    count_squared: int


def ratio_interval(ratio: Ratio, scale: int = 1) -> tuple[float, float] | None:
    """95% interval of sum(t) / sum(c), both by problem (Cochran, Sampling Techniques, 3rd ed., eq. 6.13).

    Samples of one problem are alike, so problems and not samples are what was drawn; none where there is one problem.
    `scale` divides the totals.
    """
    if ratio.problems < 2:
        return None
    share = Fraction(ratio.total, ratio.counted)
    spread = ratio.total_squared - 2 * share * ratio.total_count + share**2 * ratio.count_squared
    half = student(ratio.problems - 1) * sqrt(spread * ratio.problems / (ratio.problems - 1)) / ratio.counted / scale
    return float(share) / scale - half, float(share) / scale + half


def stratified_rate(samples: Sequence[Sequence[Stratum]]) -> Rate | None:
    """The share of hits in a population, from stratified samples of it; none where nothing was judged.

    Within a sample every stratum counts by its size, so the estimate is unbiased however unevenly the sample was
    spread (Cochran, Sampling Techniques, 3rd ed., section 5.3); samples count by how many were judged. The interval is
    Wilson's with Kish's effective size 1 / sum(w_h^2 / n_h) (Kish, Survey Sampling, section 11.7). An effective size
    from the estimated variance covers far less than 95% where a stratum shows no hit by luck: 43% instead of 99% for
    99% of the population at a rate of 0.02 with 25 judged, 25 more judged in the rest.
    """
    judged = [[stratum for stratum in sample if stratum.judged] for sample in samples]
    total = sum(stratum.judged for sample in judged for stratum in sample)
    if not total:
        return None
    share = spread = 0.0
    for sample in judged:
        size, part = sum(stratum.size for stratum in sample), sum(stratum.judged for stratum in sample) / total
        for stratum in sample:
            weight = part * stratum.size / size
            share += weight * stratum.hits / stratum.judged
            spread += weight * weight / stratum.judged
    low, high = wilson(min(share, 1.0), 1 / spread)
    unheard = sum(stratum.size for sample in samples for stratum in sample if not stratum.judged)
    return Rate(min(share, 1.0), low, high, total, unheard)


class Kappa(NamedTuple):
    """Agreement beyond chance with its 95% interval, over `n` pairs."""

    value: float
    low: float
    high: float
    n: int


def kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa (Cohen 1960): agreement beyond chance. None without pairs, or where both always say the same."""
    estimate = kappa_of(Counter(pairs))
    return None if estimate is None else estimate.value


def kappa_of(counts: Mapping[tuple[Hashable, Hashable], int]) -> Kappa | None:
    """The same of pairs by their number; the interval is Wilson's of the share that agrees, chance taken as known."""
    n = sum(counts.values())
    if not n:
        return None
    first, second = Counter[Hashable](), Counter[Hashable]()
    for (one, other), count in counts.items():
        first[one] += count
        second[other] += count
    agreed = sum(count for (one, other), count in counts.items() if one == other) / n
    chance = sum(first[label] * second[label] for label in first) / (n * n)
    if chance == 1:
        return None
    value, low, high = ((share - chance) / (1 - chance) for share in (agreed, *wilson(agreed, n)))
    return Kappa(value, low, high, n)


def allocate(sizes: dict[str, int], total: int, least: int = 2) -> dict[str, int]:
    """How many of `total` draws each stratum gets: at least `least`, the rest by the square roots of the sizes.

    Power allocation (Bankier 1988, with power 1/2) stands between equal shares, which say little of a large stratum,
    and proportional ones, which miss the small ones. No stratum gets more than it holds.

    Raises:
        ValueError: `total` does not suffice for `least` of each; the message says how many do.
    """
    drawn = {name: min(least, size) for name, size in sizes.items()}
    if sum(drawn.values()) > total:
        raise ValueError(f"{total} draws do not cover {len(sizes)} strata; take at least {sum(drawn.values())}")
    for _ in range(min(total, sum(sizes.values())) - sum(drawn.values())):
        open_strata = [name for name in sizes if drawn[name] < sizes[name]]
        drawn[max(open_strata, key=lambda name: sqrt(sizes[name]) / (2 * drawn[name] + 1))] += 1
    return drawn
