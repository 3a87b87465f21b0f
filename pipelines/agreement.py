"""How often, and how sure: shares of a stratified sample with their intervals, and agreement between two judges.

In: counts. Out: estimates at 95%. Nothing here reads a table.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
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


def kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa (Cohen 1960): agreement beyond chance. None without pairs, or where both always say the same."""
    counts = Counter(pairs)
    n = sum(counts.values())
    if not n:
        return None
    first, second = Counter[Hashable](), Counter[Hashable]()
    for (one, other), count in counts.items():
        first[one] += count
        second[other] += count
    agreed = sum(count for (one, other), count in counts.items() if one == other) / n
    chance = sum(first[label] * second[label] for label in first) / (n * n)
    return None if chance == 1 else (agreed - chance) / (1 - chance)


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
