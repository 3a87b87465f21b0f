"""Searches that exist in the benchmark alone: two published rules, and an oracle that knows every Q and price.

`Omega` is OmegaPRM's binary search (arXiv 2406.06592, section 3): all k rollouts at the middle of what is left, and a
step is alive where one succeeds. `Amcs` is the same walk under the node rule of AMCS (arXiv 2509.24351) as others
tell of it: a step gets rollouts in fours until its interval is narrow, at most k. `oracle` knows every Q and the mean
length of rollouts, and plans all its rollouts beforehand, greedily: each goes where it lowers the expected |A error|
most per token, if every rollout brings its expectation. What then comes out by chance is read through the chain model,
as all others are.
"""

from collections.abc import Sequence

import numpy as np
from _searches import Score
from _world import BASE, ROLLOUTS, Array, Ints, Problem

from stepforge.pipelines.credit.adaptive import SHARE, Adaptive
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.search import SearchSettings
from stepforge.pipelines.credit.strategies import Bisect
from stepforge.pipelines.credit.tree import Node

NARROW = 0.25                       # half the width of Amcs's interval
GAINS = (.08, .05, .03, .02, .014, .01, .007, .005, .0035, .0025)     # of a rollout of the oracle's plan


class Omega(Bisect):
    """All rollouts of a tested step are made before it is read."""

    def lost(self, node: Node) -> bool | None:
        if node.exact is not None:
            return node.exact == 0
        return None if self.wants(node) else node.successes == 0


class Amcs(Bisect):
    """Rollouts of a tested step in fours, until the Wilson interval of its Q is narrow."""

    def lost(self, node: Node) -> bool | None:
        if node.exact is not None:
            return node.exact == 0
        return None if self.wants(node) else node.successes == 0

    def wants(self, node: Node, rollouts: int | None = None) -> int:
        n = node.rollouts
        if node.exact is not None or n >= self.settings.rollouts:
            return 0
        if n % 4 or n == 0:
            return 4 - n % 4
        q, z = node.successes / n, 1.96
        half = z * ((q * (1 - q) + z * z / (4 * n)) / n) ** 0.5 / (1 + z * z / n)
        return 0 if half <= NARROW else 4


def oracle(problems: Sequence[Problem], chain: Chain) -> list[Score]:
    """One score for each of GAINS: rollouts are planned while one lowers the expected error by so much per length."""
    curve = [Score(eps=problems[0].eps) for _ in GAINS]
    for problem in problems:
        search = Adaptive(problem.solutions, SearchSettings(), problem.base_successes, BASE)
        none = search.evidence()
        truth, cost = np.zeros((2, *none.place.shape))
        for b, q in enumerate(problem.q):
            truth[b, :len(q)] = q
            cost[b, 1:len(q) - 1] = problem.tokens[b][1:len(q) - 1].mean(1)
        length = np.mean([solution.cost_after(-1) for solution in problem.solutions])
        planned = np.zeros(truth.shape, int)
        for score, gain in zip(curve, GAINS, strict=True):
            while True:
                price = _gains(none, planned, truth, chain) / np.where(cost > 0, cost / length, np.inf)
                price[planned >= ROLLOUTS] = 0
                best, top = price.argmax(1), price.max()
                if top <= gain:
                    break
                wanted = np.flatnonzero(price.max(1) > max(gain, SHARE * top))
                planned[wanted, best[wanted]] += 1
            _realised(problem, search, planned, chain, score)
    return curve


def _gains(none: Counts, planned: Ints, truth: Array, chain: Chain) -> Array:
    """[B, N] by how much one more rollout at a node lowers the expected errors of its solution's advantages: standard
    deviation and bias under the model, if every rollout of the plan brings what is expected under exact Q."""
    believed = chain.beliefs(none._replace(successes=none.successes + planned * truth,
                                           failures=none.failures + planned * (1 - truth)), pits=False)
    q = np.clip(believed.q, 1e-6, 1 - 1e-6)
    steps = np.arange(1, q.shape[1])[None] <= none.last[:, None]
    covariance = np.diff(believed.q_q - believed.q[:, :, None] * believed.q[:, None, :], axis=1)
    variance = np.maximum(np.diagonal(np.diff(covariance, axis=2), axis1=1, axis2=2), 0)[..., None]
    bias = np.diff(believed.q - truth, axis=1)[..., None]
    pull = covariance / (q * (1 - q))[:, None]
    after = np.maximum(variance - pull * covariance, 0) + (bias + pull * (truth - q)[:, None]) ** 2
    return np.asarray(((np.sqrt(variance + bias ** 2) - np.sqrt(after)) * steps[..., None]).sum(1))


def _realised(problem: Problem, search: Adaptive, planned: Ints, chain: Chain, score: Score) -> None:
    """Adds what the planned rollouts bring, read through the model."""
    paid = 0.0
    for b, q in enumerate(problem.q):
        for i in range(1, len(q) - 1):
            n, node = int(planned[b, i]), search.tree.paths[str(b)][i]
            node.rollouts, node.successes = n, int(problem.outcomes[b][i, :n].sum())
            paid += float(problem.tokens[b][i, :n].sum())
    beliefs = chain.beliefs(search.evidence())
    score.start(paid)
    for b, q in enumerate(problem.q):
        score.add(q, int(beliefs.pit[b].argmax()) - 1, np.append(beliefs.q[b, :len(q) - 1], 0.0))
