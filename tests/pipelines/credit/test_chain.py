"""The chain model's posteriors against brute force over all paths, and its fit against a chain that it should find."""

import itertools

import numpy as np
import pytest

from stepforge.pipelines.credit.chain import LIVE, LOST, Chain, Counts, pit_information, value_information

CHAIN = Chain.default(0.05)
COUNTS = Counts(np.array([[9.0, 3, 0, 0], [9, 1, 0, 0], [2, 3, 4, 0]]), np.array([[7.0, 1, 5, 0], [7, 9, 0, 0],
                [3, 1, 0, 0]]), np.array([3, 2, 3]), np.array([False, False, True]),
                np.array([[0, 1, 2, 3], [4, 5, 6, -1], [7, 8, 9, 10]]))


def brute_force(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums over all paths of cells: E q_j, P(pit = i), E [pit = i] q_j, E q_i q_j."""
    last, correct, n = COUNTS.last[row], COUNTS.correct[row], COUNTS.successes.shape[1]
    q, pit, pit_q, q_q, total = np.zeros(n), np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), 0.0
    for path in itertools.product(range(LOST + LIVE), repeat=int(last)):
        values = CHAIN.q[list(path)]
        weight = CHAIN.start[path[0]] * np.prod([CHAIN.moves[a, b] for a, b in itertools.pairwise(path)])
        weight *= np.prod(values ** COUNTS.successes[row, :last] * (1 - values) ** COUNTS.failures[row, :last])
        weight *= values[-1] if correct else 1 - values[-1]
        where = next((i for i in range(1, last) if path[i] < LOST), None if correct else int(last))
        padded = np.append(values, np.zeros(n - last))
        total += weight
        q += weight * padded
        q_q += weight * padded[:, None] * padded[None]
        if where is not None:
            pit[where] += weight
            pit_q[where] += weight * padded
    return q / total, pit / total, pit_q / total, q_q / total


@pytest.mark.parametrize("row", [0, 1, 2])
def test_beliefs_are_those_of_brute_force(row: int) -> None:
    beliefs = CHAIN.beliefs(COUNTS)
    for ours, exact in zip(beliefs, brute_force(row), strict=True):
        np.testing.assert_allclose(ours[row], exact, atol=1e-9)


def test_solutions_with_a_common_step_share_what_their_other_steps_tell() -> None:
    """Two solutions, alike up to step 0, against sums over all values of their four unfinished nodes."""
    q, moves = CHAIN.q, CHAIN.moves
    shared = Counts(np.array([[3.0, 5, 1, 0], [3, 5, 8, 0]]), np.array([[4.0, 4, 7, 0], [4, 4, 0, 0]]),
                    np.array([3, 3]), np.array([False, True]), np.array([[0, 1, 2, 3], [0, 1, 4, 5]]))
    law = np.einsum("a,ab,bc,bd->abcd", CHAIN.start * q**3 * (1 - q)**4, moves * q**5 * (1 - q)**4,
                    moves * q * (1 - q)**7 * (1 - q), moves * q**8 * q)
    law /= law.sum()
    means = [np.einsum("abcd,abcd->", law, np.broadcast_to(q.reshape(shape), law.shape))
             for shape in ((-1, 1, 1, 1), (1, -1, 1, 1), (1, 1, -1, 1), (1, 1, 1, -1))]
    beliefs = CHAIN.beliefs(shared)
    np.testing.assert_allclose(beliefs.q[0, :3], means[:3], atol=1e-9)
    np.testing.assert_allclose(beliefs.q[1, :3], [*means[:2], means[3]], atol=1e-9)
    np.testing.assert_allclose(beliefs.q_q[0, 0, 2], np.einsum("abcd,a,c->", law, q, q), atol=1e-9)


def test_joined_evidence_tells_of_each_problem_what_it_tells_alone() -> None:
    short = Counts(*(part[:, :3] if part.ndim == 2 else part for part in (a[1:2] for a in COUNTS)))
    together = CHAIN.beliefs(Counts.joined([COUNTS, short]))
    np.testing.assert_allclose(together.q[:3], CHAIN.beliefs(COUNTS).q, atol=1e-12)
    np.testing.assert_allclose(together.q[3, :3], CHAIN.beliefs(short).q[0], atol=1e-12)


def test_a_record_gives_the_model_back() -> None:
    again = Chain.of(CHAIN.record())
    np.testing.assert_allclose(again.moves, CHAIN.moves, rtol=1e-3)
    assert Chain.of(again.record()).record() == again.record()


def test_a_negative_has_its_pit_somewhere_and_a_finished_step_tells_nothing() -> None:
    beliefs = CHAIN.beliefs(COUNTS)
    np.testing.assert_allclose(beliefs.pit[:2].sum(1), 1)
    worth = pit_information(beliefs) + value_information(beliefs, COUNTS.last)
    assert np.all(worth >= 0) and worth[1, 2] < 1e-9 and worth[0, 3] < 1e-9 and worth[0, 1] > 1e-3


def test_information_is_what_an_outcome_takes_from_the_entropy_of_the_pit() -> None:
    def entropy(counts: Counts) -> np.ndarray:
        pit = CHAIN.beliefs(counts).pit
        return -(pit * np.log(np.maximum(pit, 1e-300))).sum(1)

    beliefs, one = CHAIN.beliefs(COUNTS), np.zeros_like(COUNTS.successes)
    one[:, 1] = 1
    success = beliefs.q[:, 1]
    left = (success * entropy(COUNTS._replace(successes=COUNTS.successes + one))
            + (1 - success) * entropy(COUNTS._replace(failures=COUNTS.failures + one)))
    np.testing.assert_allclose(pit_information(beliefs)[:2, 1], (entropy(COUNTS) - left)[:2], atol=1e-9)


def test_a_fit_finds_how_often_values_recover() -> None:
    """1,000 seeded solutions of 9 steps in a chain of two values, 0.02 and 0.7: lost at 15% of steps, back at 10%."""
    rng, n = np.random.default_rng(0), 9
    lost = np.zeros((1000, n), bool)
    for t in range(1, n):
        lost[:, t] = np.where(lost[:, t - 1], rng.random(1000) > 0.10, rng.random(1000) < 0.15)
    q = np.where(lost, 0.02, 0.7)
    correct = rng.random(1000) < q[:, -1]
    successes = np.append(rng.binomial(24, q), np.zeros((1000, 1)), axis=1)
    failures = np.append(24 - successes[:, :n], np.zeros((1000, 1)), axis=1)
    place = np.arange(successes.size).reshape(successes.shape)
    fitted = CHAIN.fit(Counts(successes, failures, np.full(1000, n), correct, place))
    at_low, at_high = int(np.abs(CHAIN.q - 0.02).argmin()), int(np.abs(CHAIN.q - 0.7).argmin())
    np.testing.assert_allclose(fitted.moves.sum(1), 1)
    assert fitted.moves[at_high, :LOST].sum() == pytest.approx(0.15, abs=0.04)
    assert fitted.moves[at_low, LOST:].sum() == pytest.approx(0.10, abs=0.04)


def test_a_threshold_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 0.0; allowed: strictly between 0 and 1; raise eps"):
        Chain.default(0.0)
