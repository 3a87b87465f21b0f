"""Outcomes are compared with what was foretold; a model that fails gives way to a wider one, and that one to none."""

import numpy as np
import pytest

from stepforge.pipelines.credit import fit
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.fit import Depth, by_depth, fitted_model

STEPS = 5


def problems(rate: float, count: int, batches: int = 3, seed: int = 0) -> list[list[Counts]]:
    """Single negatives, 4 rollouts at every unfinished step in each batch, all of which succeed at the same rate."""
    rng, counts = np.random.default_rng(seed), []
    for _ in range(count):
        won = np.zeros((batches + 1, 1, STEPS + 1))
        won[1:, 0, 1:STEPS] = rng.binomial(4, rate, (batches, STEPS - 1))
        made = np.zeros_like(won)
        made[1:, 0, 1:STEPS] = 4
        made[0, 0, 0], won[0, 0, 0] = 16, rng.binomial(16, rate)
        won, made = won.cumsum(0), made.cumsum(0)
        place = np.arange(STEPS + 1)[None]
        counts.append([Counts(w, m - w, np.array([STEPS]), np.array([False]), place)
                       for w, m in zip(won, made, strict=True)])
    return counts


def test_sums_are_those_of_the_batches_and_expectations_those_of_the_model() -> None:
    known = problems(0.7, 6)
    depths = by_depth([(Chain.default(), known)])
    assert [(depth.first, depth.last) for depth in depths] == [(0, 0), (1, 2), (3, 6)]
    last = [counts[-1] for counts in known]
    assert depths[1].successes == sum(int(counts.successes[0, 2:4].sum()) for counts in last)
    assert depths[1].rollouts == 6 * 3 * 2 * 4 and depths[2].rollouts == 6 * 3 * 4
    beliefs = [Chain.default().beliefs(counts) for problem in known for counts in problem[:-1]]
    expected = sum(4 * belief.q[0, 1] for belief in beliefs)
    variance = sum(4 * (b.q[0, 1] - b.q_q[0, 1, 1]) + 16 * (b.q_q[0, 1, 1] - b.q[0, 1] ** 2) for b in beliefs)
    assert depths[0].expected == pytest.approx(expected, abs=0.01)
    assert depths[0].apart == pytest.approx((depths[0].successes - expected) / variance ** 0.5, abs=0.01)


def test_steps_that_solutions_share_count_once() -> None:
    before, after = (Counts(np.array([[4.0, won, 0]] * 2), np.array([[4.0, lost, 0]] * 2), np.array([2, 2]),
                            np.array([False, False]), np.array([[0, 1, 2], [0, 1, 3]]))
                     for won, lost in ((0.0, 0.0), (3.0, 5.0)))
    assert by_depth([(Chain.default(), [[before, after]])])[0][:4] == (0, 0, 8, 3)


def drawn(count: int) -> list[list[Counts]]:
    """Seeded solutions from the default model, 3 rollouts at every unfinished step in each of 3 batches."""
    rng, chain, known = np.random.default_rng(1), Chain.default(), []
    for _ in range(count):
        cells = [rng.choice(len(chain.q), p=chain.start)]
        for _ in range(STEPS - 1):
            cells.append(rng.choice(len(chain.q), p=chain.moves[cells[-1]]))
        q, going = np.append(chain.q[cells], 0), np.arange(STEPS + 1) < STEPS
        correct = np.array([rng.random() < q[-2]])
        won = np.cumsum([np.zeros(STEPS + 1), *(rng.binomial(3, q) * going for _ in range(3))], axis=0)
        made = 3.0 * np.arange(4)[:, None] * going
        known.append([Counts(w[None], (m - w)[None], np.array([STEPS]), correct, np.arange(STEPS + 1)[None])
                      for w, m in zip(won, made, strict=True)])
    return known


def test_values_from_the_model_itself_are_foretold() -> None:
    """40 solutions; with other seeds 4 standard errors come by chance once in 5,000 times."""
    assert all(abs(depth.apart) < 4 for depth in by_depth([(Chain.default(), drawn(40))]))


def test_a_model_that_fits_is_kept_and_told() -> None:
    chain, record = fitted_model(drawn(24), 0.05)
    assert chain is not None and record["verdict"] == "fits" and list(record["depths"]) == ["fits"]
    assert {"first", "last", "rollouts", "successes", "expected", "apart"} == set(record["depths"]["fits"][0])


def test_each_half_is_foretold_by_the_fit_of_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    known, asked = drawn(5), []
    monkeypatch.setattr(fit, "by_depth", lambda foretold: asked.extend(foretold) or [])
    fitted_model(known, 0.05)
    assert [half for _, half in asked] == [known[::2], known[1::2]]
    for (chain, _), other in zip(asked, (known[1::2], known[::2]), strict=True):
        expected = Chain.default(0.05).fit(Counts.joined([problem[-1] for problem in other]))
        np.testing.assert_allclose(chain.moves, expected.moves)


def test_where_no_model_foretells_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates that change while the search goes on, which no model of fixed values can foretell."""
    known = problems(0.9, 30)
    lost = [[*problem[:2], *(after._replace(successes=problem[1].successes,
                                            failures=after.failures + after.successes - problem[1].successes)
                             for after in problem[2:])] for problem in known]
    chain, record = fitted_model(lost, 0.05)
    assert chain is None and record["verdict"] == "none" and list(record["depths"]) == ["fits", "wider"]
    seen: list[int] = []
    monkeypatch.setattr(fit, "by_depth", lambda halves: seen.append(1) or
                        [Depth(0, 0, 100, 90, 50.0, 9.0 if len(seen) == 1 else 1.0)])
    chain, record = fitted_model(known, 0.05)
    assert chain is not None and record["verdict"] == "wider"


@pytest.mark.parametrize(("apart", "expected", "foretold"), [(9.0, 50.0, False), (-9.0, 120.0, False),
                                                              (3.9, 50.0, True), (9.0, 86.0, True)])
def test_a_depth_fails_where_rates_differ_by_much_and_beyond_chance(apart: float, expected: float, foretold: bool
                                                                    ) -> None:
    assert Depth(0, 0, 100, 90, expected, apart).foretold is foretold
