"""A hidden-state model of how Q moves along a solution: what counts at one step tell about its neighbours.

In: successes and failures of rollouts at the steps of solutions, their verdicts, and what sources of evidence say of
the steps (evidence.py). Out: the posterior of every Q, of the first pit, and what one more rollout at each step can be
expected to tell (worth.py). The hidden state is Q itself on a grid, the first cells of which are the pit
(Q <= threshold); the chain is Markov; counts are binomial given Q; what a source says of a step depends on the kind of
the move alone; and a finished solution is correct with the probability that its last unfinished step had. Inference is
the forward-backward algorithm (Rabiner 1989, section III), on the tree that solutions with common first steps form
(Pearl 1988, section 4.2), so all posteriors are exact under the model; the bare problem at least is common to all
solutions of a problem. What comes out is a belief of this model: smoothed values are labelled so wherever they are
published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.credit import lengths
from stepforge.pipelines.credit.evidence import KINDS, SOURCES, Array, Flags, default_rates
from stepforge.pipelines.credit.wordings import Wording, together

LOST, LIVE = 4, 22     # grid cells up to the threshold and above it
READS = 20.0     # of each kind of step, that the rates of sources before the fit count for: flags are rare

# How Q moves in one step, from the pit and from a live state. `drop` and `rise` go evenly to all lower and higher
# cells, `near` to close ones. Fitted to nothing in particular: most steps change nothing, some are fatal, few recover.
MOVES = {"same": (0.70, 0.50), "near": (0.20, 0.20), "drop": (0.05, 0.10), "rise": (0.05, 0.08), "fatal": (0.00, 0.12)}


class Counts(NamedTuple):
    """Evidence on B solutions, padded to N nodes; node 0 is the bare problem, node i + 1 is step i."""

    successes: Array             # [B, N]
    failures: Array              # [B, N]
    last: NDArray[np.int64]      # [B] node of the last step, whose Q is the verdict
    correct: NDArray[np.bool_]   # [B] the verdict
    place: NDArray[np.int64]     # [B, N] number of the node, the same where solutions share it; -1 = padding
    flags: Flags | None = None   # what the sources say of the step into each node; none: nothing was read
    computation: NDArray[np.int64] | None = None    # [B, N] number of what a node computes, the same for its wordings

    def record(self) -> dict[str, Any]:
        """In lists; `of` reads it back."""
        flags = None if self.flags is None else [said.tolist() for said in self.flags]
        return {"successes": self.successes.tolist(), "failures": self.failures.tolist(), "last": self.last.tolist(),
                "correct": self.correct.tolist(), "place": self.place.tolist(), "flags": flags,
                "computation": None if self.computation is None else self.computation.tolist()}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Counts":
        """The evidence of a record."""
        flags = None if record["flags"] is None else Flags(*map(np.array, record["flags"]))
        successes, failures, last, correct, place = (np.array(record[name]) for name in cls._fields[:5])
        computation = None if record["computation"] is None else np.array(record["computation"])
        return cls(successes, failures, last, correct, place, flags, computation)

    @classmethod
    def joined(cls, parts: Sequence["Counts"]) -> "Counts":
        """Evidence on several problems, whose nodes are all different, as one."""
        width = max(part.place.shape[1] for part in parts)

        def numbered(places: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
            starts = np.cumsum([0, *(int(place.max()) + 1 for place in places)])
            return stacked([np.where(place < 0, -1, place + first) for place, first in zip(places, starts,
                                                                                          strict=False)], -1)

        def stacked(arrays: Sequence[NDArray[Any]], filler: int) -> NDArray[Any]:
            return np.concatenate([np.pad(array, ((0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)),
                                          constant_values=filler) for array in arrays])

        flags = [part.flags or Flags(*np.zeros((2, *part.place.shape, len(SOURCES)))) for part in parts]
        return cls(stacked([part.successes for part in parts], 0), stacked([part.failures for part in parts], 0),
                   np.concatenate([part.last for part in parts]), np.concatenate([part.correct for part in parts]),
                   numbered([part.place for part in parts]),
                   Flags(*(stacked(said, 0) for said in zip(*flags, strict=True))) if any(p.flags for p in parts)
                   else None, numbered([part.place if part.computation is None else part.computation
                                        for part in parts]))


class Posterior(NamedTuple):
    """Beliefs given counts. With q_j the value at node j; entries beyond a solution's last node are 0."""

    q: Array        # [B, N] E q_j
    pit: Array      # [B, N] P(node i is the first pit)
    pit_q: Array    # [B, N, N] E [node i is the first pit] q_j
    q_q: Array      # [B, N, N] E q_i q_j
    law: Array      # [B, N, G] P(q_j is in a cell)
    alike: Array    # [B, N] share of the variance of q_j that all wordings of its computation have in common


@dataclass(frozen=True)
class Chain:
    """The model: Q values of the cells, probabilities of moves between cells, and of cells at the bare problem."""

    q: Array        # [G] increasing; the first LOST cells are at or below the threshold
    moves: Array    # [G, G] rows sum to 1
    start: Array    # [G] sums to 1
    rates: Array = field(default_factory=default_rates)     # [sources, kinds] P(a source names a step), evidence.py
    lengths: Array = field(default_factory=lambda: np.array(lengths.UNFITTED))     # [3] of rollouts, lengths.py
    spread: float | None = None     # of the wordings of a computation, wordings.py; none: they tell nothing of another

    @classmethod
    def default(cls, threshold: float = 0.05) -> "Chain":
        """The model before any fit, for pits at Q <= threshold. Live cells lie evenly in arcsin(sqrt(Q)), where the
        spread of a binomial ratio is the same everywhere."""
        if not 0 < threshold < 1:
            raise ValueError(f"a chain's threshold is {threshold}; allowed: strictly between 0 and 1; raise eps")
        low = np.arcsin(np.sqrt(threshold))
        live = np.sin(low + (np.pi / 2 - low) * (np.arange(LIVE) + 0.5) / LIVE) ** 2
        q = np.concatenate([threshold * (np.arange(LOST) + 0.5) / LOST, live])
        return cls(q, _default_moves(), np.full(len(q), 1 / len(q)))

    def beliefs(self, counts: Counts, pits: bool = True, products: bool = True) -> Posterior:
        """All posteriors of Q and of the first pit; of the order of B N^2 G^2 operations, of which `pits` (pit, pit_q)
        are two thirds and `products` (q_q) one; what is left out stays 0."""
        first, kernels = self.smooth(counts)
        (b, n), cells = counts.successes.shape, len(self.q)
        mean, pit, pit_q, q_q = np.zeros((b, n)), np.zeros((b, n)), np.zeros((b, n, n)), np.zeros((b, n, n))
        laws, alike = np.zeros((b, n, cells)), np.ones((b, n))
        wording, low = self.wording(counts), np.arange(cells) < LOST
        g, squares = wording.mean(self.q), wording.mean(self.q ** 2)
        lost, g_lost = wording.mean(low.astype(float)), wording.mean(self.q * low)
        # Laws of q at node t. `whole`: of any path; row 0 is that law, row j + 1 the same weighted with q_j.
        # `split`, two of each: the same of paths without a pit so far; of paths after their pit, row j + 1: at j.
        whole, split = np.zeros((b, n + 1 if products else 1, cells)), np.zeros((b, n + 1, 2, cells))
        whole[:, 0] = split[:, 0, 0] = laws[:, 0] = first
        whole[:, 1:2] = (first * self.q)[:, None]
        split[:, 1, 0] = first * self.q
        mean[:, 0], q_q[:, 0, 0] = first @ self.q, first @ self.q ** 2
        for t in range(1, counts.last.max() + 1):
            step = kernels[:, t - 1] * (t < counts.last)[:, None, None]
            if pits:
                ends = ((t == counts.last) & ~counts.correct)[:, None]
                pit_here = np.where(ends, split[:, :t + 1, 0].sum(2), 0)
                moved = (split[:, :t + 1].reshape(b, -1, cells) @ step).reshape(b, t + 1, 2, cells)
                fallen = moved[:, :, 0] * lost[:, None, t]
                pit_here += fallen.sum(2)
                pit[:, t], pit_q[:, t, :t] = pit_here[:, 0], pit_here[:, 1:]
                pit_q[:, :t, t] = (moved[:, 1:, 1] @ g[:, t, :, None])[..., 0]
                pit_q[:, t, t] = (moved[:, 0, 0] * g_lost[:, t]).sum(1)
                split[:, t + 1, 0] = moved[:, 0, 0] * (g - g_lost)[:, t]
                split[:, t + 1, 1] = fallen[:, 0]
                moved[:, :, 0] -= fallen
                split[:, :t + 1] = moved
            whole[:, :t + 1] = whole[:, :t + 1] @ step
            law, at = whole[:, 0], g[:, t]
            laws[:, t], mean[:, t] = wording.law(law, t), (law * at).sum(1)
            if wording.kernel is not None:
                between = (law * at ** 2).sum(1) - mean[:, t] ** 2
                alike[:, t] = between / np.maximum((law * squares[:, t]).sum(1) - mean[:, t] ** 2, 1e-12)
            if products:
                q_q[:, :t, t] = q_q[:, t, :t] = (whole[:, 1:t + 1] @ at[..., None])[..., 0]
                q_q[:, t, t] = (law * squares[:, t]).sum(1)
                whole[:, t + 1] = law * at
        return Posterior(mean, pit, pit_q, q_q, laws, alike)

    def fit(self, counts: Counts, rounds: int = 20, weight: float = 5.0) -> "Chain":
        """Moves, start and rates of the sources that make counts and flags likely, by expectation-maximisation; this
        model is the prior, as if it had been seen in `weight` moves from every cell and in as many reads of each kind
        of step, in READS at least. Which steps were looked at may depend on outcomes (a search chose them): the
        likelihood does not ask why a count is what it is. A move that solutions share counts once."""
        chain, once = self, np.asarray(1 / _holders(self._state(counts)))
        for _ in range(rounds):
            first, kernels = chain.smooth(counts)
            seen, law = weight * self.moves, first
            kinds = np.zeros((*counts.place.shape, len(KINDS)))
            for t in range(1, counts.successes.shape[1]):
                moved = law[:, :, None] * kernels[:, t - 1] * (t < counts.last)[:, None, None]
                ends = np.asarray(t == counts.last)[:, None]
                kinds[:, t] = np.where(ends, _last_kinds(law, counts.correct), _kinds(moved))
                seen, law = seen + np.einsum("b,bgh->gh", once[:, t], moved), moved.sum(1)
            start = once[:, 0] @ first + weight * self.start
            rates = chain.rates if counts.flags is None else counts.flags.refit(once[..., None] * kinds, self.rates,
                                                                                 max(weight, READS))
            chain = replace(self, moves=seen / seen.sum(1, keepdims=True), start=start / start.sum(), rates=rates)
        return chain

    def record(self) -> dict[str, Any]:
        """The model as a few lines of text, for the manifest; `of` reads it back."""
        return {"q": _digits(self.q), "start": _digits(self.start), "moves": [_digits(row) for row in self.moves],
                "lengths": _digits(self.lengths), "spread": self.spread,
                "rates": {source: _digits(row) for source, row in zip(SOURCES, self.rates, strict=True)}}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Chain":
        """The model that a record tells; the same on every machine, whatever the last digits of a fit were."""
        start, moves = _numbers(record["start"]), np.array([_numbers(row) for row in record["moves"]])
        rates = np.array([_numbers(record["rates"][source]) for source in SOURCES])
        return cls(_numbers(record["q"]), moves / moves.sum(1, keepdims=True), start / start.sum(), rates,
                   _numbers(record["lengths"]), record["spread"])

    def wording(self, counts: Counts) -> Wording:
        """What counts tell of each wording."""
        likelihood = counts.successes[..., None] * np.log(self.q) + counts.failures[..., None] * np.log1p(-self.q)
        return Wording.of(np.exp(likelihood - likelihood.max(-1, keepdims=True)), self.q,
                          self.spread if self._shares(counts) else None)

    def smooth(self, counts: Counts) -> tuple[Array, Array]:
        """Given all evidence: laws of q at node 0 [B, G] and of moves from each node to the next [B, N-1, G, G]."""
        likelihood, flags, state = self.wording(counts).seen, counts.flags, self._state(counts)
        if self._shares(counts):
            logs = together(np.log(np.maximum(likelihood, 1e-300)), counts.place, state)
            likelihood = np.exp(logs - logs.max(-1, keepdims=True))
            flags = flags and Flags(*(together(said, counts.place, state, mean=True) for said in flags))
        fall, alive, lost = np.ones((3, *counts.place.shape, 1)) if flags is None else \
            flags.factors(self.rates).transpose(2, 0, 1)[..., None]
        into_pit = np.where(np.arange(len(self.q)) < LOST, lost, fall)      # [B, N, G], by the cell before
        verdict = np.where(counts.correct[:, None, None], self.q * alive, (1 - self.q) * into_pit)
        joins = _joins(state.astype(np.int64).tobytes(), len(state))
        ahead = np.ones(likelihood.shape)           # of all that follows a node, up to a factor
        for t in range(likelihood.shape[1] - 2, -1, -1):
            weight = likelihood[:, t + 1] * ahead[:, t + 1]
            coming = (weight[:, :LOST] @ self.moves[:, :LOST].T * into_pit[:, t + 1]
                      + weight[:, LOST:] @ self.moves[:, LOST:].T * alive[:, t + 1])
            coming = np.where((counts.last == t + 1)[:, None], verdict[:, t + 1], coming)
            coming = np.where((counts.last > t)[:, None], coming, 1)
            ahead[:, t] = joins[t].together(coming)
        weight = likelihood * ahead
        first = self.start * weight[:, 0]
        kernels = self.moves * weight[:, 1:, None, :]
        if counts.flags is not None:
            kernels[..., :LOST] *= into_pit[:, 1:, :, None]
            kernels[..., LOST:] *= alive[:, 1:, :, None]
        return first / first.sum(1, keepdims=True), kernels / kernels.sum(-1, keepdims=True)

    def _shares(self, counts: Counts) -> bool:
        return self.spread is not None and counts.computation is not None

    def _state(self, counts: Counts) -> NDArray[np.int64]:
        """[B, N] which nodes are in one state."""
        return counts.computation if self._shares(counts) and counts.computation is not None else counts.place


def _kinds(moved: Array) -> Array:
    """[B, kinds] how probable it is that a move [B, G, G] falls into the pit, is or gets alive, stays in the pit."""
    return np.stack([moved[:, LOST:, :LOST].sum((1, 2)), moved[:, :, LOST:].sum((1, 2)),
                     moved[:, :LOST, :LOST].sum((1, 2))], axis=1)


def _last_kinds(law: Array, correct: NDArray[np.bool_]) -> Array:
    """The same of the last step, from the law of Q before it [B, G]: what it does to Q is the verdict."""
    dead = law[:, :LOST].sum(1)
    wrong = ~correct
    return np.stack([wrong * (1 - dead), correct.astype(float), wrong * dead], axis=1)


class _Join(NamedTuple):
    """How messages from the nodes at one depth meet at the nodes before them."""

    rows: NDArray[np.int64]      # one row for each distinct child, those of a node side by side
    starts: NDArray[np.int64]    # where the rows of each node begin
    node: NDArray[np.int64]      # [B] which of the nodes a row is at

    def together(self, coming: Array) -> Array:
        """[B, G] product of what comes from all distinct children of a row's node, up to a factor."""
        total = np.add.reduceat(np.log(np.maximum(coming[self.rows], 1e-300)), self.starts, axis=0)
        return np.asarray(np.exp(total - total.max(1, keepdims=True))[self.node])


@lru_cache(maxsize=32)
def _joins(place: bytes, solutions: int) -> list[_Join]:
    """The joins of a tree, from its places [B, N]: at index t, from the nodes t + 1 to the nodes t."""
    at, joins = np.frombuffer(place, np.int64).reshape(solutions, -1), []
    for t in range(at.shape[1] - 1):
        _, rows = np.unique(at[:, t:t + 2], axis=0, return_index=True)     # ordered by the node, then by the child
        _, starts = np.unique(at[rows, t], return_index=True)
        joins.append(_Join(rows, starts, np.unique(at[:, t], return_inverse=True)[1]))
    return joins


def _holders(place: NDArray[np.int64]) -> NDArray[np.int64]:
    """[B, N] how many solutions hold a node."""
    _, inverse, count = np.unique(place, return_inverse=True, return_counts=True)
    return np.asarray(count[inverse.reshape(place.shape)])


def _digits(values: Array) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _numbers(text: str) -> Array:
    return np.array([float(part) for part in text.split()])


def _default_moves() -> Array:
    cells = LOST + LIVE
    at, to = np.arange(cells)[:, None], np.arange(cells)[None]
    alike = (at < LOST) == (to < LOST)
    shapes = {"same": at == to, "near": np.where(alike & (at != to), np.exp(-abs(at - to) / 1.5), 0),
              "drop": (to < at) & ((to >= LOST) | (at <= LOST)), "rise": (to > at) & (to >= LOST), "fatal": to < LOST}
    moves = np.zeros((cells, cells))
    for name, shape in shapes.items():
        share = np.where(at < LOST, MOVES[name][0], MOVES[name][1])
        total = np.asarray(shape, float).sum(1, keepdims=True)
        moves += np.where(total > 0, share * shape / np.maximum(total, 1e-12), share * (at == to))
    return moves / moves.sum(1, keepdims=True)
