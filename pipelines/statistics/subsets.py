"""What a random subset of k of n samples holds: exact probabilities over all subsets, nothing is drawn.

In: counts. Out: fractions, so that the same samples give the same digits on any machine. Nothing here reads a table.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import NamedTuple


class AnswerCount(NamedTuple):
    """Samples that give one answer, and how many of them are correct (all or none, but for an unlucky key)."""

    size: int
    right: int


def hit(n: int, members: int, k: int) -> Fraction:
    """Probability that a random k-subset of n samples holds one of `members`: 1 - C(n - members, k) / C(n, k).

    For correct samples this is pass@k, or coverage@k of one problem (Chen et al., arXiv 2107.03374, section 2.1).

    Raises:
        ValueError: not 1 <= k <= n and 0 <= members <= n.
    """
    if not (1 <= k <= n and 0 <= members <= n):
        raise ValueError(f"n is {n}, members {members}, k {k}; allowed is 1 <= k <= n and 0 <= members <= n")
    return Fraction(comb(n, k) - comb(n - members, k), comb(n, k))


def majority_at_k(n: int, votes: Sequence[AnswerCount], ks: Iterable[int]) -> dict[int, Fraction]:
    """maj@k: probability that the commonest answer of a random k-subset is correct; ties are split evenly.

    Samples beyond those of `votes` gave no answer: they take a place in the subset and cast no vote. The sum runs over
    every correct answer and every number t of its votes: subsets in which no other answer has more than t, by how many
    have just t. Answers with fewer than t samples cannot reach it, so they count as one crowd.

    Raises:
        ValueError: a k is not from 1 to n, or there are more votes than samples.
    """
    ks = list(ks)
    if sum(vote.size for vote in votes) > n or not all(1 <= k <= n for k in ks):
        raise ValueError(f"{sum(vote.size for vote in votes)} votes of {n} samples, k {ks}; allowed is 1 <= k <= n")
    total = dict.fromkeys(ks, Fraction(0))
    for index, (size, right) in enumerate(votes):
        others = [vote.size for at, vote in enumerate(votes) if at != index]
        for t in range(1, size + 1 if right else 1):
            rivals = [other for other in others if other >= t]
            crowd, ways = _choices(n - size - sum(rivals)), _draws(rivals, t)
            for k in ks:
                by_ties: dict[int, int] = {}
                for (drawn, ties), count in ways.items():
                    if 0 <= k - t - drawn < len(crowd):
                        by_ties[ties] = by_ties.get(ties, 0) + count * crowd[k - t - drawn]
                wins = sum((Fraction(count, 1 + ties) for ties, count in by_ties.items()), Fraction(0))
                total[k] += wins * Fraction(comb(size, t) * right, size)
    return {k: share / comb(n, k) for k, share in total.items()}


def _draws(sizes: Sequence[int], most: int) -> dict[tuple[int, int], int]:
    """Ways to draw at most `most` from each class, by how many are drawn and how many classes give `most`."""
    ways = {(0, 0): 1}
    for size in sizes:
        grown: dict[tuple[int, int], int] = {}
        for (drawn, ties), count in ways.items():
            for more in range(most + 1):
                key = (drawn + more, ties + (more == most))
                grown[key] = grown.get(key, 0) + count * comb(size, more)
        ways = grown
    return ways


@lru_cache(maxsize=512)
def _choices(size: int) -> list[int]:
    return [comb(size, drawn) for drawn in range(size + 1)]
