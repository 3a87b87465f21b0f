"""Wordings of one computation: what rollouts of one tell of the others.

In: counts of rollouts at nodes, some of which are wordings of the same computation: all steps up to there compute the
same, in other words. Out: what the counts say of the computation, and what is then believed of each wording. The chain
model (chain.py) moves from computation to computation. The Q of a wording lies around that of its computation, on the
scale of log odds, with a standard deviation that the pilot chooses (fit.py): a random effect for each wording. Counts
stay with the wording that they were made from.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.credit.evidence import Array

Places = NDArray[np.int64]
TINY = 1e-250     # of a likelihood, beside its greatest value


@dataclass(frozen=True)
class Wording:
    """What is known of the wordings, for each cell that Q of the computation may be in; node 0 has one wording."""

    kernel: Array | None     # [G, G] P(cell of the wording | cell of the computation); none: they have one Q
    own: Array               # [B, N, G] likelihood of the wording's own counts, in each of its cells
    seen: Array              # [B, N, G] the same in each cell of the computation

    @classmethod
    def of(cls, own: Array, q: Array, spread: float | None) -> "Wording":
        kernel = kernel_of(q, spread) if spread else None
        own = np.maximum(own, TINY)     # of many rollouts, far cells would be 0, and `law` would divide by it
        return cls(kernel, own, own if kernel is None else _from_node_1(own, own @ kernel.T))

    def mean(self, values: Array) -> Array:
        """[B, N, G] expected value of a function of the wording's cell [G], for each cell of the computation."""
        if self.kernel is None:
            return np.broadcast_to(values, self.own.shape)
        weighted = _from_node_1(self.own * values, (self.own * values) @ self.kernel.T)
        return np.asarray(weighted / self.seen)

    def law(self, law: Array, node: int, row: int | slice = slice(None)) -> Array:
        """Laws of the wording's cell at a node, from those of the computation's: [B, G], or [..., G] of one row."""
        if self.kernel is None or node == 0:
            return law
        return np.asarray((law / self.seen[row, node]) @ self.kernel * self.own[row, node])


def kernel_of(q: Array, spread: float) -> Array:
    """[G, G] normal on the scale of log odds, by the widths of the cells; rows sum to 1."""
    odds = np.log(q / (1 - q))
    kernel = np.exp(-((odds[:, None] - odds[None]) / spread) ** 2 / 2) * np.gradient(odds)
    return np.asarray(kernel / kernel.sum(1, keepdims=True))


class _Groups(NamedTuple):
    """One row for each distinct wording, those of a computation side by side."""

    rows: Places        # of the flattened nodes
    starts: Places      # where those of each computation begin
    inside: Places      # flattened nodes that are no padding
    group: Places       # of each of these, its computation


def together(values: Array, wording: Places, computation: Places, mean: bool = False) -> Array:
    """[B, N, ...] sums of what is known of the distinct wordings of each node's computation, or means of it."""
    groups, flat = _groups(wording.tobytes(), computation.tobytes()), values.reshape(wording.size, -1)
    total = np.add.reduceat(flat[groups.rows], groups.starts, axis=0)
    if mean:
        total /= np.diff(np.append(groups.starts, len(groups.rows)))[:, None]
    gathered = flat.copy()
    gathered[groups.inside] = total[groups.group]
    return gathered.reshape(values.shape)


@lru_cache(maxsize=32)
def _groups(wording: bytes, computation: bytes) -> _Groups:
    texts, kinds = np.frombuffer(wording, np.int64), np.frombuffer(computation, np.int64)
    inside = np.flatnonzero(texts >= 0)
    rows = inside[np.unique(texts[inside], return_index=True)[1]]
    rows = rows[np.argsort(kinds[rows], kind="stable")]
    _, starts = np.unique(kinds[rows], return_index=True)
    return _Groups(rows, starts, inside, np.unique(kinds[inside], return_inverse=True)[1])


def _from_node_1(first: Array, rest: Array) -> Array:
    rest[:, 0] = first[:, 0]
    return rest
