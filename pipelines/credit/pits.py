"""How far the value falls at a pit, for certain: what sets a pit apart from chance.

In: the counts along a solution's steps. Out: by how much Q falls at a step at least, with a stated probability. Every
Q has a uniform prior, so its posterior is a Beta law whatever rule chose the number of rollouts. A success after a
later step tells against a pit: so the fall must hold against the highest later value, too, else either the solution
recovered or the failures at the pit were chance, and the counts cannot tell which. From a step of which nothing is
known no fall is certain, whatever the prior says: it may have been lost already.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.credit.tree import Node

CELLS = 200  # of the grid of Q; falls are told to within two of them
LOST = (0.0, 0, 0)  # the counts of a step whose Q is known to be 0


def fall(before: Node, after: Node, level: float = 0.95, best_of: int = 1) -> float:
    """The greatest f such that P(Q_before - Q_after >= f) is at least `level`; best-of-K values where K > 1."""
    return _fall(_counts(before) if _known(before) else LOST, _counts(after), level, best_of)


def certain_fall(path: Sequence[Node], at: int, level: float = 0.95, best_of: int = 1) -> float:
    """The least `fall` from before node `at` of a path to this node and to every later one of which anything is known.

    `path` begins with the bare problem, so `at` is at least 1.
    """
    return min(fall(path[at - 1], node, level, best_of) for node in path[at:] if _known(node))


def doubters(path: Sequence[Node], at: int, least: float, level: float = 0.95, best_of: int = 1) -> list[Node]:
    """Where more rollouts would tell: node `at` and the later ones against which the fall at it is not certain.

    None where the fall at the node itself is not, and none where nothing later tells against it.
    """
    doubt = [node for node in path[at:] if _known(node) and fall(path[at - 1], node, level, best_of) <= least]
    return [] if not doubt or doubt[0] is path[at] else [path[at], *doubt]


def _known(node: Node) -> bool:
    return node.exact is not None or node.rollouts > 0


def _counts(node: Node) -> tuple[float | None, int, int]:
    return node.exact, node.successes, node.rollouts


@lru_cache(maxsize=65536)
def _fall(before: tuple[float | None, int, int], after: tuple[float | None, int, int], level: float, best_of: int
          ) -> float:
    cells = (np.arange(CELLS) + 0.5) / CELLS
    values = 1 - (1 - cells) ** best_of

    def law(counts: tuple[float | None, int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        exact, successes, rollouts = counts
        if exact is not None:
            return np.array([exact]), np.array([1.0])
        log = successes * np.log(cells) + (rollouts - successes) * np.log1p(-cells)
        weight = np.exp(log - log.max())
        return values, weight / weight.sum()

    (high, p_high), (low, p_low) = law(before), law(after)
    falls, weights = np.subtract.outer(high, low).ravel(), np.outer(p_high, p_low).ravel()
    order = np.argsort(falls)
    at = int(np.searchsorted(np.cumsum(weights[order]), 1 - level))
    return float(falls[order[min(at, len(order) - 1)]])
