"""The chain model's posteriors against brute force over all paths, and its fit against a chain that it should find."""

import itertools

import numpy as np
import pytest

from stepforge.pipelines.credit.chain import LIVE, LOST, Chain, Counts
from stepforge.pipelines.credit.evidence import KINDS, SOURCES, Flags
from stepforge.pipelines.credit.worth import POWER, SCALE, pit_information, value_information

CHAIN = Chain.default(0.05)
COUNTS = Counts(np.array([[9.0, 3, 0, 0], [9, 1, 0, 0], [2, 3, 4, 0]]), np.array([[7.0, 1, 5, 0], [7, 9, 0, 0],
                [3, 1, 0, 0]]), np.array([3, 2, 3]), np.array([False, False, True]),
                np.array([[0, 1, 2, 3], [4, 5, 6, -1], [7, 8, 9, 10]]))


# The equations stop at step 1 of the first solution and find nothing in the third; the judge stops at the first one's
# last step, and at step 0 of the second.
NAMED = {("equations", 0): 2, ("equations", 2): None, ("judge", 0): 3, ("judge", 1): 1}


def flags() -> Flags:
    named, passed = np.zeros((2, *COUNTS.place.shape, len(SOURCES)))
    for (source, row), node in NAMED.items():
        last = int(COUNTS.last[row])
        passed[row, 1:last + 1 if node is None else node, SOURCES.index(source)] = 1
        if node is not None:
            named[row, node, SOURCES.index(source)] = 1
    return Flags(named, passed)


FLAGGED = COUNTS._replace(flags=flags())


def said(row: int, path: tuple[int, ...]) -> float:
    """P(what the sources say of a solution | its path), a step at a time."""
    lost = [cell < LOST for cell in path] + [not COUNTS.correct[row]]
    probability = 1.0
    for (source, solution), node in NAMED.items():
        for t in range(1, len(lost)) if solution == row else ():
            kind = "alive" if not lost[t] else "lost" if lost[t - 1] else "fall"
            rate = CHAIN.rates[SOURCES.index(source), KINDS.index(kind)]
            probability *= rate if t == node else 1 - rate
            if t == node:
                break
    return probability


def brute_force(row: int, counts: Counts) -> tuple[np.ndarray, ...]:
    """Sums over all paths of cells: E q_j, P(pit = i), E [pit = i] q_j, E q_i q_j, P(cell of node j)."""
    last, correct, n = COUNTS.last[row], COUNTS.correct[row], COUNTS.successes.shape[1]
    q, pit, pit_q, q_q, total = np.zeros(n), np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), 0.0
    law = np.zeros((n, LOST + LIVE))
    for path in itertools.product(range(LOST + LIVE), repeat=int(last)):
        values = CHAIN.q[list(path)]
        weight = CHAIN.start[path[0]] * np.prod([CHAIN.moves[a, b] for a, b in itertools.pairwise(path)])
        weight *= np.prod(values ** COUNTS.successes[row, :last] * (1 - values) ** COUNTS.failures[row, :last])
        weight *= values[-1] if correct else 1 - values[-1]
        weight *= said(row, path) if counts.flags else 1
        where = next((i for i in range(1, last) if path[i] < LOST), None if correct else int(last))
        padded = np.append(values, np.zeros(n - last))
        total += weight
        q += weight * padded
        law[range(last), path] += weight
        q_q += weight * padded[:, None] * padded[None]
        if where is not None:
            pit[where] += weight
            pit_q[where] += weight * padded
    return q / total, pit / total, pit_q / total, q_q / total, law / total


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("counts", [COUNTS, FLAGGED], ids=["counts", "with evidence"])
def test_beliefs_are_those_of_brute_force(row: int, counts: Counts) -> None:
    beliefs = CHAIN.beliefs(counts)
    for ours, exact in zip(beliefs[:5], brute_force(row, counts), strict=True):
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
    short = Counts(*(part[:, :3] if part.ndim == 2 else part for part in (a[1:2] for a in COUNTS[:5])))
    together = CHAIN.beliefs(Counts.joined([FLAGGED, short]))
    np.testing.assert_allclose(together.q[:3], CHAIN.beliefs(FLAGGED).q, atol=1e-12)
    np.testing.assert_allclose(together.q[3, :3], CHAIN.beliefs(short).q[0], atol=1e-12)


def test_a_record_gives_the_model_back() -> None:
    again = Chain.of(CHAIN.record())
    np.testing.assert_allclose(again.moves, CHAIN.moves, rtol=1e-3)
    assert Chain.of(again.record()).record() == again.record()
    fitted = CHAIN.fit(FLAGGED, rounds=2)
    np.testing.assert_allclose(Chain.of(fitted.record()).rates, fitted.rates, rtol=1e-3)


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


def test_worth_is_what_an_outcome_takes_from_the_weighted_variances_of_all_advantages() -> None:
    def variances(counts: Counts) -> np.ndarray:
        beliefs = CHAIN.beliefs(counts)
        covariance = beliefs.q_q - beliefs.q[:, :, None] * beliefs.q[:, None, :]
        return np.diagonal(np.diff(np.diff(covariance, axis=1), axis=2), axis1=1, axis2=2)

    beliefs, one = CHAIN.beliefs(COUNTS), np.zeros_like(COUNTS.successes)
    one[:, 1] = 1
    success = beliefs.q[:, 1, None]
    left = (success * variances(COUNTS._replace(successes=COUNTS.successes + one))
            + (1 - success) * variances(COUNTS._replace(failures=COUNTS.failures + one)))
    for row in (0, 1):
        before, after = (part[row, :COUNTS.last[row]] for part in (variances(COUNTS), left))
        weighted = SCALE * ((before - after) / before ** (POWER / 2)).sum()
        assert value_information(beliefs, COUNTS.last)[row, 1] == pytest.approx(weighted, rel=1e-6)


def test_a_fit_finds_how_often_values_recover_and_how_far_a_judge_can_be_trusted() -> None:
    """1,000 seeded solutions of 9 steps in a chain of two values, 0.02 and 0.7: lost at 15% of steps, back at 10%.
    The judge stops at the first step that it calls wrong."""
    rng, n = np.random.default_rng(0), 9
    lost = np.zeros((1000, n), bool)
    for t in range(1, n):
        lost[:, t] = np.where(lost[:, t - 1], rng.random(1000) > 0.10, rng.random(1000) < 0.15)
    q = np.where(lost, 0.02, 0.7)
    correct = rng.random(1000) < q[:, -1]
    successes = np.append(rng.binomial(24, q), np.zeros((1000, 1)), axis=1)
    failures = np.append(24 - successes[:, :n], np.zeros((1000, 1)), axis=1)
    place = np.arange(successes.size).reshape(successes.shape)
    kinds = {"fall": ~lost[:, :-1] & lost[:, 1:], "alive": ~lost[:, 1:], "lost": lost[:, :-1] & lost[:, 1:]}
    truth = {"fall": 0.8, "alive": 0.05, "lost": 0.4}
    rate = sum(truth[kind] * kinds[kind] for kind in KINDS)
    named, passed = np.zeros((2, 1000, n + 1, len(SOURCES)))
    named[:, 1:n, SOURCES.index("judge")] = rng.random((1000, n - 1)) < rate
    seen = np.cumsum(named[..., 1], 1)
    named[..., 1] *= seen == 1
    passed[:, 1:n, SOURCES.index("judge")] = seen[:, 1:n] == 0
    fitted = CHAIN.fit(Counts(successes, failures, np.full(1000, n), correct, place, Flags(named, passed)))
    at_low, at_high = int(np.abs(CHAIN.q - 0.02).argmin()), int(np.abs(CHAIN.q - 0.7).argmin())
    np.testing.assert_allclose(fitted.moves.sum(1), 1)
    assert fitted.moves[at_high, :LOST].sum() == pytest.approx(0.15, abs=0.04)
    assert fitted.moves[at_low, LOST:].sum() == pytest.approx(0.10, abs=0.04)
    assert fitted.rates[SOURCES.index("judge")] == pytest.approx(list(truth.values()), abs=0.06)
    np.testing.assert_allclose(fitted.rates[SOURCES.index("equations")], CHAIN.rates[SOURCES.index("equations")])


def test_a_threshold_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 0.0; allowed: strictly between 0 and 1; raise eps"):
        Chain.default(0.0)


def test_a_round_of_the_fit_counts_the_kinds_of_all_paths() -> None:
    """The rates of the sources after one round, against sums over all paths of the three solutions."""
    reads = np.zeros((2, len(SOURCES), len(KINDS)))             # named and passed, by source and kind
    for row in range(3):
        last, correct = int(COUNTS.last[row]), bool(COUNTS.correct[row])
        paths = np.array(list(itertools.product(range(LOST + LIVE), repeat=last)))
        q = CHAIN.q[paths]
        weight = CHAIN.start[paths[:, 0]] * (q[:, -1] if correct else 1 - q[:, -1])
        weight *= (q ** COUNTS.successes[row, :last] * (1 - q) ** COUNTS.failures[row, :last]).prod(1)
        for t in range(1, last):
            weight *= CHAIN.moves[paths[:, t - 1], paths[:, t]]
        lost = np.column_stack([paths < LOST, np.full(len(paths), not correct)])
        kind = np.where(~lost[:, 1:], KINDS.index("alive"), np.where(lost[:, :-1], KINDS.index("lost"),
                                                                     KINDS.index("fall")))
        evidence = flags()
        for t in range(1, last + 1):
            weight *= evidence.factors(CHAIN.rates)[row, t][kind[:, t - 1]]
        weight /= weight.sum()
        for t in range(1, last + 1):
            share = np.bincount(kind[:, t - 1], weights=weight, minlength=len(KINDS))
            reads += np.stack([evidence.named[row, t], evidence.passed[row, t]])[..., None] * share
    expected = (reads[0] + 20 * CHAIN.rates) / (reads.sum(0) + 20)
    np.testing.assert_allclose(CHAIN.fit(FLAGGED, rounds=1).rates, expected, atol=1e-9)


def test_a_read_of_a_step_that_solutions_share_counts_once_in_the_fit() -> None:
    """Two wrong solutions that share the step into node 1, which the judge names; only its move is read."""
    judge = SOURCES.index("judge")
    named, passed = np.zeros((2, 2, 3, len(SOURCES)))
    named[:, 1, judge] = 1
    shared = Counts(np.array([[4.0, 1, 0]] * 2), np.array([[4.0, 5, 0]] * 2), np.array([2, 2]), np.zeros(2, bool),
                    np.array([[0, 1, 2], [0, 1, 3]]), Flags(named, passed))
    q, rates = CHAIN.q, CHAIN.rates[judge]
    alive = np.arange(len(q)) >= LOST
    kind = np.where(alive[None], KINDS.index("alive"), np.where(alive[:, None], KINDS.index("fall"),
                                                                KINDS.index("lost")))
    law = (CHAIN.start * q**4 * (1 - q)**4)[:, None] * CHAIN.moves * (q * (1 - q)**5 * (1 - q)**2) * rates[kind]
    share = np.bincount(kind.ravel(), weights=(law / law.sum()).ravel())
    fitted = CHAIN.fit(shared, rounds=1).rates[judge]
    np.testing.assert_allclose(fitted, (share + 20 * rates) / (share + 20), atol=1e-9)
