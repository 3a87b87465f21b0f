"""How good is a model, how sure are we, and is another one better: numbers from verdicts, with intervals.

In: of each problem the verdicts of its samples. Out: pass@k, maj@k and best-of-n, exact over all subsets of the
samples at hand (no drawing), and means over problems with 95% intervals; McNemar's test and a paired bootstrap between
two models. Only the bootstrap draws, from a seed.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from stepforge.pipelines.statistics.intervals import wilson
from stepforge.pipelines.statistics.subsets import AnswerCount, hit, majority_at_k

RESAMPLES = 10_000
SUBSETS = 2_000  # most of them that are counted one by one; beyond, so many are drawn


class Estimate(NamedTuple):
    """A mean over `n` problems with its 95% interval; `excluded` problems could not be counted."""

    value: float
    low: float
    high: float
    n: int
    excluded: int = 0


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Probability that a random k-subset of n samples holds a correct one; ValueError unless 1 <= k <= n."""
    return float(hit(n, correct, k))


def maj_at_k(votes: Sequence[str | None], correct: Sequence[bool], k: int) -> float:
    """Probability that the commonest answer of a random k-subset is correct; a tie counts by the correct share of it.

    `votes` are canonical answers; None (no answer) takes a place in the subset and casts no vote. Raises ValueError
    unless 1 <= k <= n.
    """
    size = Counter(vote for vote in votes if vote is not None)
    right = Counter(vote for vote, good in zip(votes, correct, strict=True) if good)
    return float(majority_at_k(len(votes), [AnswerCount(size[vote], right[vote]) for vote in size], [k])[k])


def best_of_n(scores: Sequence[float], correct: Sequence[bool], n: int) -> float:
    """Probability that the highest-scored of a random n-subset is correct; equal scores share it evenly.

    Raises ValueError unless 1 <= n <= the number of samples.
    """
    size = len(scores)
    if not 1 <= n <= size or len(correct) != size:
        raise ValueError(f"best-of-n: {size} scores, {len(correct)} verdicts, n is {n}; allowed is 1 <= n <= samples")
    total, below = 0.0, 0
    for score in sorted(set(scores)):
        tied = [good for other, good in zip(scores, correct, strict=True) if other == score]
        top = comb(below + len(tied), n) - comb(below, n)  # subsets whose best score is this one
        total += top / comb(size, n) * sum(tied) / len(tied)
        below += len(tied)
    return total


def weighted_maj_at_k(
    votes: Sequence[str | None], correct: Sequence[bool], weights: Sequence[float], k: int, seed: int
) -> float:
    """Probability that the answer of the largest sum of weights in a random k-subset is correct; ties as in maj@k.

    Where there are more than SUBSETS subsets, as many are drawn: that errs by 0.011 in one problem (one standard
    error at most). A subset of no votes, or of no weight, chooses nothing. Raises ValueError as `maj_at_k` does.
    """
    size = len(votes)
    if not 1 <= k <= size or not size == len(correct) == len(weights):
        raise ValueError(f"weighted maj@k: {size} votes, {len(correct)} verdicts, {len(weights)} weights, k is {k}; "
                         "allowed is 1 <= k <= samples")
    answers = sorted({vote for vote in votes if vote is not None})
    if not answers:
        return 0.0
    casts = np.array([[vote == answer for answer in answers] for vote in votes], float)
    right = (casts * np.asarray(correct, float)[:, None]).sum(0) / casts.sum(0)
    if comb(size, k) <= SUBSETS:
        chosen = np.array(list(combinations(range(size), k)))
    else:
        chosen = np.random.default_rng(seed).random((SUBSETS, size)).argsort(1)[:, :k]
    sums = (casts * np.asarray(weights, float)[:, None])[chosen].sum(1)
    most = sums.max(1, keepdims=True)
    best = np.isclose(sums, most, rtol=1e-9, atol=0) & (sums > 0)
    return float(((best * right).sum(1) / best.sum(1).clip(1)).mean())


def proportion(outcomes: Sequence[bool | None]) -> Estimate:
    """Share of the true among what is not None, with Wilson's interval."""
    known = [outcome for outcome in outcomes if outcome is not None]
    share = sum(known) / max(1, len(known))
    low, high = wilson(share, len(known)) if known else (0.0, 1.0)
    return Estimate(share, low, high, len(known), len(outcomes) - len(known))


def mean_over_problems(values: Sequence[float], seed: int, excluded: int = 0) -> Estimate:
    """Mean of one value a problem, with the percentile interval of a bootstrap over problems."""
    if not values:
        return Estimate(0.0, 0.0, 1.0, 0, excluded)
    low, high = np.quantile(_resampled_means(np.asarray(values, float), seed), (0.025, 0.975))
    return Estimate(float(np.mean(values)), float(low), float(high), len(values), excluded)


def harmonic_mean(first: Estimate, second: Estimate, seed: int) -> Estimate:
    """Harmonic mean of two shares, 0 where both are, with the interval of draws from their posteriors.

    The prior of both is Jeffreys', Beta(1/2, 1/2), so that shares of 0 and 1 have an interval too. Nothing is known
    (0 to 1, n 0) unless both were measured.
    """
    if not (first.n and second.n):
        return Estimate(0.0, 0.0, 1.0, 0, first.excluded + second.excluded)
    rng = np.random.default_rng(seed)
    one, other = (rng.beta(share.value * share.n + 0.5, (1 - share.value) * share.n + 0.5, RESAMPLES)
                  for share in (first, second))
    both = first.value + second.value
    value = 2 * first.value * second.value / both if both else 0.0
    low, high = np.quantile(2 * one * other / (one + other), (0.025, 0.975))
    return Estimate(value, min(float(low), value), max(float(high), value), first.n + second.n,
                    first.excluded + second.excluded)


class Comparison(NamedTuple):
    """Two models on the same problems: how many only the first or only the second solved, and what that says.

    `difference` is first minus second, with a 95% paired bootstrap interval; `p` is McNemar's exact two-sided one.
    """

    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float
    n: int


def compare(first: Sequence[bool], second: Sequence[bool], seed: int) -> Comparison:
    """Paired comparison of two models' outcomes on the same problems, in the same order; ValueError if none."""
    if not first or len(first) != len(second):
        raise ValueError(f"compare: {len(first)} and {len(second)} outcomes; needed are as many of both, at least one")
    gains = np.asarray(first, float) - np.asarray(second, float)
    low, high = np.quantile(_resampled_means(gains, seed), (0.025, 0.975))
    only_first, only_second = int((gains > 0).sum()), int((gains < 0).sum())
    return Comparison(float(gains.mean()), float(low), float(high), only_first, only_second,
                      mcnemar(only_first, only_second), len(first))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value: the discordant pairs are fair coins if the models are equally good (McNemar 1947)."""
    n, few = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, i) for i in range(few + 1)) / 2**n)


def _resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of RESAMPLES draws with replacement, in blocks that keep memory small."""
    rng = np.random.default_rng(seed)
    block = max(1, 5_000_000 // len(values))
    counts = [min(block, RESAMPLES - done) for done in range(0, RESAMPLES, block)]
    return np.concatenate([values[rng.integers(len(values), size=(count, len(values)))].mean(1) for count in counts])
