"""Does the chain model fit? Outcomes of rollouts against what the model foretold of them, by depth.

In: what searches knew before each of their batches. Out: for steps of like depth, how many rollouts succeeded, how
many the model expected, and how far the two are apart in standard errors. Each batch is foretold from what came before
it, so the sums are fair whatever rule chose the steps (Dawid 1984, "The prequential approach"). The pilot's problems
are fitted and foretold in two halves, each by the other's fit. A model that fails gives way to a wider one, which is
drawn less far from the unfitted model, and that one to none: then steps are scanned from left to right. In the same
way it is decided whether wordings of one computation (wordings.py) tell of each other, and how far apart they are: by
the probability that the models give to the outcomes of each batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.evidence import Array

# A model fails where, at some depth, seen and expected rates of success differ by more than both. In the exact
# benchmark they differ by up to .03 under good models (rollouts of one batch depend on each other), and by .08 where
# a model of 8 steps is applied to 30.
APART, FAR = 4.0, 0.05                       # standard errors; rate of success
WEIGHTS = {"fits": 5.0, "wider": 400.0}     # of the unfitted model in the fit
SPREADS = (0.15, 0.3, 0.6)     # of wordings, in log odds; 0.3 is 0.07 at Q = 0.5
GAIN = 3.0                     # nats that a model which shares must foretell the pilot better by


class Depth(NamedTuple):
    """Rollouts after steps `first` to `last`, from 0: how many succeeded, how many were to; standard errors apart."""

    first: int
    last: int
    rollouts: int
    successes: int
    expected: float
    apart: float

    @property
    def foretold(self) -> bool:
        return abs(self.apart) <= APART or abs(self.successes - self.expected) <= FAR * self.rollouts


def fitted_model(problems: Sequence[Sequence[Counts]], threshold: float) -> tuple[Chain | None, dict[str, Any]]:
    """The fitted model, or none where no model fits, and what the manifest says of it.

    Args:
        problems: of each, what its search knew before every batch, and at its end.
        threshold: which Q is a pit.
    """
    halves = problems[::2], problems[1::2]
    spread, scores = _spread(halves, threshold)
    default, by_verdict = replace(Chain.default(threshold), spread=spread), {}
    for verdict, weight in WEIGHTS.items():
        fits = [default.fit(Counts.joined([known[-1] for known in half]), weight=weight) for half in halves if half]
        depths = by_depth([(fit, half) for fit, half in zip(reversed(fits), halves, strict=False)])
        by_verdict[verdict] = [depth._asdict() for depth in depths]
        if all(depth.foretold for depth in depths):
            return default.fit(Counts.joined([known[-1] for known in problems]), weight=weight), \
                {"verdict": verdict, "depths": by_verdict, "sharing": scores}
    return None, {"verdict": "none", "depths": by_verdict, "sharing": scores}


def _spread(halves: Sequence[Sequence[Sequence[Counts]]], threshold: float) -> tuple[float | None, dict[str, float]]:
    """The spread between wordings that foretells each half best, by a fit to the other; none where they tell nothing
    of each other. And by how many nats each of SPREADS does better than that."""
    if not any(_has_wordings(known[-1]) for half in halves for known in half):
        return None, {}
    scores = dict.fromkeys((None, *SPREADS), 0.0)
    for spread in scores:
        unfitted = replace(Chain.default(threshold), spread=spread)
        for half, other in (halves, halves[::-1]):
            if half and other:
                fitted = unfitted.fit(Counts.joined([known[-1] for known in half]))
                scores[spread] += _log_score(fitted, other)
    gains = {spread: scores[spread] - scores[None] for spread in SPREADS}
    best = max(gains, key=gains.__getitem__)
    return best if gains[best] > GAIN else None, {str(spread): round(gain, 1) for spread, gain in gains.items()}


def _has_wordings(counts: Counts) -> bool:
    return counts.computation is not None and len(np.unique(counts.computation)) < len(np.unique(counts.place))


def _log_score(chain: Chain, problems: Sequence[Sequence[Counts]]) -> float:
    """Nats: the log probability of all outcomes, each batch foretold from what came before it."""
    total = 0.0
    for before, after in _rounds(problems):
        q = chain.beliefs(before, pits=False, products=False).q.clip(1e-6, 1 - 1e-6)
        won, lost = ((now - then) * _once(before) for now, then in ((after.successes, before.successes),
                                                                    (after.failures, before.failures)))
        total += float((won * np.log(q) + lost * np.log1p(-q)).sum())
    return total


def by_depth(foretold: Sequence[tuple[Chain, Sequence[Sequence[Counts]]]]) -> list[Depth]:
    """Seen and expected successes of the problems under the model that is given with them, by depth."""
    sums: dict[int, Array] = {}
    for chain, problems in foretold:
        for before, after in _rounds(problems):
            for level, part in _batch(chain, before, after).items():
                sums[level] = sums.get(level, np.zeros(4)) + part
    return [Depth(2 ** level - 1, 2 ** (level + 1) - 2, round(made), round(seen), round(float(expected), 2),
                  round(float((seen - expected) / variance ** 0.5), 2))
            for level, (made, seen, expected, variance) in sorted(sums.items()) if variance > 0]


def _rounds(problems: Sequence[Sequence[Counts]]) -> Iterator[tuple[Counts, Counts]]:
    """Of each batch, what was known before and after it, of all problems that had so many."""
    for batch in range(max((len(known) for known in problems), default=0) - 1):
        going = [known for known in problems if len(known) > batch + 1]
        yield Counts.joined([known[batch] for known in going]), Counts.joined([known[batch + 1] for known in going])


def _once(counts: Counts) -> Array:
    """[B, N] 1 for the first place of each node, else 0: a node that solutions share counts once."""
    _, first = np.unique(counts.place, return_index=True)
    once = np.zeros(counts.place.size)
    once[first] = 1
    return np.asarray(once.reshape(counts.place.shape) * (counts.place >= 0))


def _batch(chain: Chain, before: Counts, after: Counts) -> dict[int, Array]:
    """By depth (powers of two): rollouts of a batch, their successes, what was expected of these, and its variance."""
    once = _once(before)
    seen = (after.successes - before.successes) * once
    made = seen + (after.failures - before.failures) * once
    believed = chain.beliefs(before, pits=False)
    covariance = believed.q_q - believed.q[:, :, None] * believed.q[:, None, :]
    alone = believed.q - np.diagonal(believed.q_q, axis1=1, axis2=2)                       # E q (1 - q)
    level = np.log2(np.maximum(np.arange(made.shape[1]), 1)).astype(int)                   # of node i + 1, step i
    moments = {}
    for at in range(level.max() + 1):
        inside = made * ((level == at) & (np.arange(made.shape[1]) > 0))
        together = np.einsum("bi,bij,bj->", inside, covariance, inside)
        moments[at] = np.array([inside.sum(), (seen * (inside > 0)).sum(), (inside * believed.q).sum(),
                                (inside * alone).sum() + together])
    return moments
