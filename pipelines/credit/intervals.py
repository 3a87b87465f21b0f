"""Intervals of the chain model: between which values Q and the advantages lie, as the model believes.

In: the model's posterior laws of Q at every node, and of each move. Out: means and central credible intervals of Q and
of the advantages, of the plain policy or of the best-of-K policy. They hold as far as the model does, and are narrower
than confidence sequences by what neighbouring steps and the pilot tell: a step without a rollout of its own has one,
too. Counts and their intervals (advantages.py) stay the only measurement.
"""

from typing import NamedTuple

import numpy as np

from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.evidence import Array


class Summary(NamedTuple):
    """Of B solutions of at most N nodes; at a node, the advantage is that of the step into it. Padding is 0."""

    q: Array                # [B, N, 3] mean, lower and upper end
    advantage: Array        # [B, N, 3]


def summary(chain: Chain, counts: Counts, level: float, best_of: int = 1) -> Summary:
    """What the model believes of every value, of the policy that keeps a correct one of `best_of` tries.

    A last step has its verdict for Q. The cells of the model's grid are ranges of Q: ends of intervals of Q are read
    within a cell, those of an advantage are differences between two cells. An end within the first or the last cell is
    0 or 1: a step from which no rollout ever succeeds is a common one, and the grid cannot tell it from a small Q.
    """
    (first, moves), wording = chain.smooth(counts), chain.wording(counts)
    b, n = counts.place.shape
    values = 1 - (1 - chain.q) ** best_of
    edges = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    difference = values[None, :] - values[:, None]                        # of a move from row to column
    order = np.argsort(difference, axis=None)
    q, advantage = np.zeros((b, n, 3)), np.zeros((b, n, 3))
    tails = (1 - level) / 2, (1 + level) / 2
    for row in range(b):
        law, last, verdict = first[row], int(counts.last[row]), float(counts.correct[row])
        for t in range(last):
            if t:
                joint = law[:, None] * moves[row, t - 1]
                law = joint.sum(0)
                joint = wording.law(wording.law(joint, t, row).T, t - 1, row).T
                at = np.searchsorted(np.cumsum(joint.ravel()[order]), tails).clip(0, joint.size - 1)
                advantage[row, t] = (joint * difference).sum(), *difference.ravel()[order[at]]
            own = wording.law(law, t, row)
            low, high = np.interp(tails, np.concatenate([[0.0], np.cumsum(own)]), edges)
            q[row, t] = own @ values, low if low >= edges[1] else 0, high if high <= edges[-2] else 1
        q[row, last] = verdict
        advantage[row, last] = verdict - q[row, last - 1][[0, 2, 1]]
    return Summary(q, advantage)
