"""Means and intervals of the model against sums over all its paths, and their coverage where the model is true."""

import itertools

import numpy as np
import pytest

from stepforge.pipelines.credit.chain import LIVE, LOST, Chain, Counts
from stepforge.pipelines.credit.intervals import summary

CHAIN = Chain.default(0.05)
COUNTS = Counts(np.array([[9.0, 3, 0, 0], [9, 1, 0, 0]]), np.array([[7.0, 1, 5, 0], [7, 9, 0, 0]]), np.array([3, 2]),
                np.array([False, True]), np.array([[0, 1, 2, 3], [4, 5, 6, -1]]))


def laws(row: int) -> dict[tuple[int, ...], float]:
    """P(path of cells | counts)."""
    weights, last = {}, int(COUNTS.last[row])
    for path in itertools.product(range(LOST + LIVE), repeat=last):
        q = CHAIN.q[list(path)]
        weight = CHAIN.start[path[0]] * np.prod([CHAIN.moves[a, b] for a, b in itertools.pairwise(path)])
        weight *= np.prod(q ** COUNTS.successes[row, :last] * (1 - q) ** COUNTS.failures[row, :last])
        weights[path] = float(weight * (q[-1] if COUNTS.correct[row] else 1 - q[-1]))
    total = sum(weights.values())
    return {path: weight / total for path, weight in weights.items()}


@pytest.mark.parametrize(("row", "best_of"), [(0, 1), (0, 5), (1, 1), (1, 3)])
def test_means_are_those_of_all_paths_and_intervals_hold_what_they_say(row: int, best_of: int) -> None:
    """The end of an interval of Q lies within the cell at which the sum over the cells reaches the tail."""
    believed, paths = summary(CHAIN, COUNTS, 0.9, best_of), laws(row)
    values, last = 1 - (1 - CHAIN.q) ** best_of, int(COUNTS.last[row])
    for t in range(last):
        mean, *ends = believed.q[row, t]
        assert mean == pytest.approx(sum(paths[p] * values[p[t]] for p in paths), abs=1e-9)
        for end, tail in zip(ends, (0.05, 0.95), strict=True):
            cell = int((end > (values[1:] + values[:-1]) / 2).sum())
            assert sum(paths[p] for p in paths if p[t] < cell) <= tail <= sum(paths[p] for p in paths if p[t] <= cell)
    for t in range(1, last):
        rise = {path: values[path[t]] - values[path[t - 1]] for path in paths}
        mean, low, high = believed.advantage[row, t]
        assert mean == pytest.approx(sum(paths[p] * rise[p] for p in paths), abs=1e-9)
        assert sum(paths[p] for p in paths if rise[p] < low - 1e-12) <= 0.05
        assert sum(paths[p] for p in paths if rise[p] > high + 1e-12) <= 0.05
        assert sum(paths[p] for p in paths if low - 1e-12 <= rise[p] <= high + 1e-12) >= 0.9
    verdict = float(COUNTS.correct[row])
    assert list(believed.q[row, last]) == [verdict] * 3
    assert believed.advantage[row, last] == pytest.approx(verdict - believed.q[row, last - 1][[0, 2, 1]])


def test_intervals_cover_at_their_level_where_the_model_is_true() -> None:
    """500 seeded solutions of 6 steps drawn from the model itself, 4 rollouts at every second step: 3,000 values of Q
    and of advantages. Values of a solution depend on each other; a mean off by .03 comes once in a million times.
    Intervals that end at 0 or 1 cover more."""
    rng, n, solutions = np.random.default_rng(2), 6, 500
    cells = np.zeros((solutions, n), int)
    cells[:, 0] = [rng.choice(len(CHAIN.q), p=CHAIN.start) for _ in range(solutions)]
    for t in range(1, n):
        cells[:, t] = [rng.choice(len(CHAIN.q), p=CHAIN.moves[cell]) for cell in cells[:, t - 1]]
    q = CHAIN.q[cells]
    rollouts = np.tile([4, 0], n // 2)
    successes = np.append(rng.binomial(rollouts, q), np.zeros((solutions, 1)), axis=1)
    failures = np.append(rollouts - successes[:, :n], np.zeros((solutions, 1)), axis=1)
    place = np.arange(successes.size).reshape(successes.shape)
    believed = summary(CHAIN, Counts(successes, failures, np.full(solutions, n), rng.random(solutions) < q[:, -1],
                                     place), 0.9)
    covered = (believed.q[:, :n, 1] <= q) & (q <= believed.q[:, :n, 2])
    rises = np.diff(q, axis=1)
    covered_rises = (believed.advantage[:, 1:n, 1] - 1e-9 <= rises) & (rises <= believed.advantage[:, 1:n, 2] + 1e-9)
    assert 0.88 <= covered.mean() <= 0.97
    assert 0.88 <= covered_rises.mean() <= 0.97


def test_a_step_that_may_be_lost_or_sure_has_0_or_1_in_its_interval() -> None:
    """20 rollouts of which none, 5 or all succeed; a step that 5 of 20 left alive has neither."""
    for successes, ends in ((0, (True, False)), (5, (False, False)), (20, (False, True))):
        counts = Counts(np.array([[10.0, successes, 0]]), np.array([[10.0, 20 - successes, 0]]), np.array([2]),
                        np.array([successes == 20]), np.array([[0, 1, 2]]))
        for best_of in (1, 3):
            _, low, high = summary(CHAIN, counts, 0.95, best_of).q[0, 1]
            assert (low == 0, high == 1) == ends
