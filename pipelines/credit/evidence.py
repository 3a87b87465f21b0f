"""Evidence beside rollouts: sources that name the first wrong step of a solution, and how far each can be trusted.

In: for a solution, the first wrong step that a source names, or that it names none. Out: factors on the moves of the
chain model. A source reads the steps in order and stops at the first one that it calls wrong. It names a step with a
probability that depends on what the step does to Q: its sensitivity where Q falls from a live value into the pit, and
one minus its specificity elsewhere, apart for steps that leave Q alive and for steps of a solution that is lost
already. These three rates are learned with the chain (chain.py). What a source says never changes a count of rollouts.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Source = Literal["equations", "judge", "values"]
SOURCES: tuple[Source, ...] = get_args(Source)

# P(a source names a step that it has come to), before any fit: where Q falls into the pit, where the step leaves Q
# alive, where Q was lost already. Cautious: a source that is better than this shows it in the pilot.
KINDS = ("fall", "alive", "lost")
RATES: dict[Source, tuple[float, float, float]] = {
    "equations": (0.10, 0.005, 0.05), "judge": (0.50, 0.10, 0.20), "values": (0.40, 0.10, 0.20)}


class Flags(NamedTuple):
    """What the sources say of every step, along the paths of B solutions of at most N nodes.

    Solutions that share a step share one opinion on it: each of them counts for its share of the reads.
    """

    named: Array     # [B, N, sources] share of the reads of the step into this node that call it the first wrong one
    passed: Array    # [B, N, sources] share of the reads that go on behind it

    def factors(self, rates: Array) -> Array:
        """[B, N, kinds] likelihood of what is said of each step, if the step is of that kind."""
        log_likelihoods = self.named[..., None] * np.log(rates) + self.passed[..., None] * np.log1p(-rates)
        return np.asarray(np.exp(log_likelihoods.sum(-2)))

    def refit(self, kinds: Array, prior: Array, weight: float) -> Array:
        """[sources, kinds] rates, from how often each step is of each kind [B, N, kinds]; `prior` counts for so many
        reads."""
        named = np.einsum("bns,bnk->sk", self.named, kinds)
        passed = np.einsum("bns,bnk->sk", self.passed, kinds)
        return np.asarray((named + weight * prior) / (named + passed + weight))


def default_rates() -> Array:
    """[sources, kinds] rates before any fit."""
    return np.array([RATES[source] for source in SOURCES])


def flags_of(paths: Sequence[Sequence[int]], first_errors: Sequence[Mapping[Source, int | None]]) -> Flags | None:
    """What the sources say, from the first wrong step that each names in each solution (None: it names none).

    Args:
        paths: of each solution, the numbers of its nodes: the bare problem, then one for each step.
        first_errors: of each solution, what the sources say that have read it.

    Returns:
        None where no source has read any solution.
    """
    if not any(first_errors):
        return None
    said = np.zeros((max(map(max, paths)) + 1, len(SOURCES), 2))
    for path, by_source in zip(paths, first_errors, strict=True):
        for s, source in enumerate(SOURCES):
            if source not in by_source:
                continue
            first = by_source[source]
            for step, node in enumerate(path[1:] if first is None else path[1:first + 2]):
                said[node, s, int(step != first)] += 1
    said /= np.maximum(said.sum(-1, keepdims=True), 1)
    width = max(map(len, paths))
    named, passed = np.zeros((2, len(paths), width, len(SOURCES)))
    for b, path in enumerate(paths):
        named[b, :len(path)], passed[b, :len(path)] = said[list(path), :, 0], said[list(path), :, 1]
    return Flags(named, passed)
