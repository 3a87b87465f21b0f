"""Wordings of one computation: exact posteriors against sums over all cells, and what the pilot decides about them."""

from dataclasses import replace

import numpy as np
import pytest

from stepforge.pipelines.credit import fit
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.chain import LOST, Chain, Counts
from stepforge.pipelines.credit.evidence import SOURCES, Flags
from stepforge.pipelines.credit.fit import SPREADS, _log_score, fitted_model
from stepforge.pipelines.credit.intervals import summary
from stepforge.pipelines.credit.search import Search, SearchSettings, Solution, make_search
from stepforge.pipelines.credit.wordings import kernel_of

CHAIN = Chain.default(0.05)
# Two wrong solutions of three steps, whose first steps are wordings of one computation.
COUNTS = Counts(np.array([[6.0, 1, 1, 0], [6, 0, 2, 0]]), np.array([[4.0, 6, 7, 0], [4, 3, 3, 0]]), np.array([3, 3]),
                np.array([False, False]), np.array([[0, 1, 2, 3], [0, 4, 5, 6]]),
                computation=np.array([[0, 1, 2, 3], [0, 1, 4, 5]]))


def binomial(row: int, node: int) -> np.ndarray:
    return CHAIN.q ** COUNTS.successes[row, node] * (1 - CHAIN.q) ** COUNTS.failures[row, node]


@pytest.mark.parametrize("spread", [0.3, 0.6])
def test_beliefs_of_wordings_are_sums_over_all_cells(spread: float) -> None:
    """Cells a of the bare problem, b of the computation, s and t of its two wordings, c and d, C and D of the second
    steps of the solutions; written for the first of them."""
    kernel, q, start = kernel_of(CHAIN.q, spread), CHAIN.q, CHAIN.start * binomial(0, 0)
    after = (CHAIN.moves * (1 - q)) @ (kernel * binomial(1, 2)).sum(1)            # of the second solution, from b
    other = (kernel * binomial(1, 1)).sum(1) * after
    law = np.einsum("a,ab,b,bs,s,bc,c,cd,d->abscd", start, CHAIN.moves, other, kernel, binomial(0, 1), CHAIN.moves,
                    1 - q, kernel, binomial(0, 2), optimize=True)
    law /= law.sum()
    own = law.sum((1, 3))                                                          # a, s, d
    beliefs = replace(CHAIN, spread=spread).beliefs(COUNTS)
    means = [own.sum((1, 2)) @ q, own.sum((0, 2)) @ q, own.sum((0, 1)) @ q, 0]
    np.testing.assert_allclose(beliefs.q[0], means, atol=1e-9)
    np.testing.assert_allclose(beliefs.law[0, 1], own.sum((0, 2)), atol=1e-9)
    np.testing.assert_allclose(beliefs.q_q[0, 1, 2], np.einsum("asd,s,d->", own, q, q), atol=1e-9)
    np.testing.assert_allclose(beliefs.q_q[0, 0, 1], np.einsum("asd,a,s->", own, q, q), atol=1e-9)
    np.testing.assert_allclose(beliefs.q_q[0, 1, 1], own.sum((0, 2)) @ q ** 2, atol=1e-9)
    pits = own[:, :LOST].sum(), own[:, LOST:, :LOST].sum(), own[:, LOST:, LOST:].sum()
    np.testing.assert_allclose(beliefs.pit[0, 1:], pits, atol=1e-9)
    np.testing.assert_allclose(beliefs.pit_q[0, 1, :3], [np.einsum("asd,a->", own[:, :LOST], q),
                               np.einsum("asd,s->", own[:, :LOST], q[:LOST]),
                               np.einsum("asd,d->", own[:, :LOST], q)], atol=1e-9)
    np.testing.assert_allclose(beliefs.pit_q[0, 2, 1:3], [np.einsum("asd,s->", own[:, LOST:, :LOST], q[LOST:]),
                               np.einsum("asd,d->", own[:, LOST:, :LOST], q[:LOST])], atol=1e-9)
    believed = summary(replace(CHAIN, spread=spread), COUNTS, 0.9)
    np.testing.assert_allclose(believed.q[0, :3, 0], means[:3], atol=1e-9)
    np.testing.assert_allclose(believed.advantage[0, 2, 0], means[2] - means[1], atol=1e-9)
    common = np.einsum("abscd->b", law)
    mean_of = (kernel * binomial(0, 1) * q).sum(1) / (kernel * binomial(0, 1)).sum(1)
    between = common @ mean_of ** 2 - (common @ mean_of) ** 2
    assert beliefs.alike[0, 1] == pytest.approx(between / (own.sum((0, 2)) @ q ** 2 - means[1] ** 2))


def test_wordings_lie_around_their_computation_as_far_as_the_spread_says() -> None:
    kernel, odds = kernel_of(CHAIN.q, 0.6), np.log(CHAIN.q / (1 - CHAIN.q))
    inside = (CHAIN.q > 0.15) & (CHAIN.q < 0.85)
    mean = kernel @ odds
    assert abs(mean - odds)[inside].max() < 0.03
    assert np.sqrt(kernel @ odds ** 2 - mean ** 2)[inside] == pytest.approx(0.6, rel=0.1)


def test_without_a_spread_wordings_of_one_value_are_one_node() -> None:
    """Their counts add up, and what the sources say of them is averaged."""
    named, passed = np.zeros((2, 2, 4, len(SOURCES)))
    named[0, 1, 1], passed[1, 1, 1] = 1, 1
    one = Counts(*COUNTS[:5], flags=Flags(named, passed), computation=COUNTS.computation)
    sums, half = np.array([[6.0, 1, 1, 0], [6, 1, 2, 0]]), np.zeros((2, 4, len(SOURCES)))
    half[:, 1, 1] = 0.5
    merged = Counts(sums, np.array([[4.0, 9, 7, 0], [4, 9, 3, 0]]), COUNTS.last, COUNTS.correct,
                    np.array([[0, 1, 2, 3], [0, 1, 4, 5]]), Flags(half, half))
    ours, exact = replace(CHAIN, spread=0.0).beliefs(one), CHAIN.beliefs(merged)
    np.testing.assert_allclose(ours.q, exact.q, atol=1e-9)
    np.testing.assert_allclose(ours.pit, exact.pit, atol=1e-9)
    fits = replace(CHAIN, spread=0.0).fit(one, rounds=3), CHAIN.fit(merged, rounds=3)
    np.testing.assert_allclose(fits[0].moves, fits[1].moves, atol=1e-9)


@pytest.mark.parametrize("rollouts", [400, 4000])
def test_many_rollouts_leave_every_belief_a_number(rollouts: int) -> None:
    """The likelihood of so many outcomes is 0 in floating point, in cells far from their rate."""
    sure = np.array([[6.0, rollouts, 1, 0], [6, rollouts - rollouts // 8, 2, 0]])
    counts = COUNTS._replace(successes=sure, failures=np.array([[4.0, 0, 7, 0], [4, rollouts // 8, 3, 0]]))
    shared = replace(CHAIN, spread=0.15)
    beliefs, believed = shared.beliefs(counts), summary(shared, counts, 0.9)
    assert all(np.isfinite(part).all() for part in (*beliefs, *believed))
    assert beliefs.q[0, 1] > beliefs.q[1, 1] > 0.85
    np.testing.assert_allclose(beliefs.pit.sum(1), 1)


def test_a_model_without_sharing_does_not_look_at_computations() -> None:
    np.testing.assert_array_equal(CHAIN.beliefs(COUNTS).q, CHAIN.beliefs(COUNTS._replace(computation=None)).q)


def test_a_record_keeps_spread_and_computations() -> None:
    for spread in (None, 0.3):
        assert Chain.of(replace(CHAIN, spread=spread).record()).spread == spread
    again = Counts.of(COUNTS.record())
    assert again.computation is not None
    np.testing.assert_array_equal(again.computation, COUNTS.computation)
    joined = Counts.joined([COUNTS, COUNTS._replace(computation=None)])
    assert joined.computation is not None
    assert len(np.unique(joined.computation)) == 6 + 7
    np.testing.assert_allclose(replace(CHAIN, spread=0.3).beliefs(joined).q[:2],
                               replace(CHAIN, spread=0.3).beliefs(COUNTS).q)


def pilot(spread: float | None, problems: int = 24, wordings: int = 6) -> list[list[Counts]]:
    """Solutions of one problem each, all wordings of each other for 4 steps, 1 rollout a step in each of 3
    batches. `spread`: of their values around a common one; none: each wording has a value of its own."""
    rng, known, steps = np.random.default_rng(5), [], 4
    place = np.concatenate([np.zeros((wordings, 1), int), 1 + np.arange(wordings * (steps + 1)).reshape(wordings, -1)],
                           axis=1)
    computation = place.copy()
    computation[:, 1:-1] = place[0, 1:-1]
    for _ in range(problems):
        alone = rng.uniform(0.1, 0.9, (wordings, 1)) if spread is None else np.full((wordings, 1), rng.uniform(.1, .9))
        odds = np.log(alone / (1 - alone)) + rng.normal(0, spread or 0, (wordings, steps))
        won = np.zeros((4, wordings, steps + 2))
        won[1:, :, 1:-1] = rng.binomial(1, 1 / (1 + np.exp(-odds)), (3, wordings, steps))
        made = np.zeros_like(won)
        made[1:, :, 1:-1] = 1
        won, made = won.cumsum(0), made.cumsum(0)
        correct = rng.random(wordings) < 1 / (1 + np.exp(-odds[:, -1]))
        known.append([Counts(w, m - w, np.full(wordings, steps + 1), correct, place,
                             computation=computation) for w, m in zip(won, made, strict=True)])
    return known


@pytest.mark.parametrize(("spread", "shared"), [(0.0, SPREADS), (0.6, (0.3, 0.6)), (None, (None,))])
def test_the_pilot_decides_whether_wordings_tell_of_each_other(spread: float | None, shared: tuple[float | None, ...]
                                                                ) -> None:
    chain, record = fitted_model(pilot(spread), 0.05)
    assert chain is not None and chain.spread in shared, record["sharing"]
    assert len(record["sharing"]) == 3 and (max(record["sharing"].values()) > 3) is (chain.spread is not None)


def test_a_spread_is_judged_by_the_half_that_it_was_not_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    known, asked = pilot(0.3, problems=4, wordings=2), []
    monkeypatch.setattr(fit, "_log_score", lambda chain, half: asked.append((chain, half)) or 0.0)
    fitted_model(known, 0.05)
    assert [half[0] is known[0] for _, half in asked] == [False, True] * (1 + len(SPREADS))
    for chain, half in asked:
        own, other = (known[::2], known[1::2]) if half[0] is known[0] else (known[1::2], known[::2])
        fits = [replace(Chain.default(0.05), spread=chain.spread).fit(Counts.joined([one[-1] for one in problems]))
                for problems in (own, other)]
        assert not np.allclose(chain.moves, fits[0].moves)
        np.testing.assert_allclose(chain.moves, fits[1].moves)


@pytest.mark.parametrize(("gain", "spread"), [(1.4, None), (1.6, 0.3)])
def test_wordings_are_shared_where_both_halves_gain_three_nats_by_it(
    monkeypatch: pytest.MonkeyPatch, gain: float, spread: float | None
) -> None:
    monkeypatch.setattr(fit, "_log_score", lambda chain, half: gain if chain.spread == 0.3 else 0.0)
    chain, facts = fitted_model(pilot(0.3, problems=2, wordings=2), 0.05)
    assert chain is not None and chain.spread == spread and facts["sharing"]["0.3"] == 2 * gain


SOLUTIONS = [Solution("a", ("Half is 3.\n", "Wrong turn.\n", "So 5."), False, computations=("6/2=3", "6/2=3", "")),
             Solution("b", ("A half: 3.\n", "Bad turn.\n", "So 4."), False, computations=("6/2=3", "6/2=3", "")),
             Solution("c", ("Half is 4.\n", "Wrong turn.\n", "So 2."), False, computations=("6/2=4", "6/2=4", ""))]


def told_one(chain: Chain) -> Search:
    """A search that saw eight failures after the first step of `a`."""
    search = make_search("adaptive", SOLUTIONS, SearchSettings(), 8, 10, chain)
    search.tree.owners["a", 0].rollouts = 8
    return search


def test_rollouts_of_one_wording_move_the_models_value_of_another_and_no_count() -> None:
    alone, shared = (told_one(replace(CHAIN, spread=spread)).values() for spread in (None, 0.3))
    assert shared["b"][0].q_model < 0.6 * alone["b"][0].q_model          # type: ignore[operator]
    assert shared["c"][0].q_model > 1.5 * shared["b"][0].q_model         # type: ignore[operator]
    for name in "abc":
        assert [(v.rollouts, v.successes, v.q, v.q_low, v.q_high) for v in shared[name]] == [
            (v.rollouts, v.successes, v.q, v.q_low, v.q_high) for v in alone[name]]


def test_a_round_asks_one_wording_of_a_computation() -> None:
    """Each rollout tells of both, so that the second one waits for the first one's outcome."""
    for spread, expected in ((None, {"a", "b", "c"}), (0.15, {"a", "c"})):
        search = make_search("adaptive", SOLUTIONS, SearchSettings(), 8, 10, replace(CHAIN, spread=spread))
        assert isinstance(search, Adaptive)
        price, _ = search._prices(np.zeros(len(search.tree.nodes), int), np.zeros(len(search.tree.nodes)))
        asked = {search.tree.nodes[i].solution_id for i in search._dearest(price, 8)}
        assert asked == expected


def test_a_rollout_is_worth_what_all_wordings_learn_from_it() -> None:
    """With one value for all wordings it is worth as much as at a step that the solutions share; with values of their
    own the others learn less, but something."""
    def prices(solutions: list[Solution], spread: float | None) -> np.ndarray:
        search = make_search("adaptive", solutions, SearchSettings(), 8, 10, replace(CHAIN, spread=spread))
        assert isinstance(search, Adaptive)
        nodes = [search.tree.paths[name][1] for name in "ab"]
        price, _ = search._prices(np.zeros(len(search.tree.nodes), int), np.zeros(len(search.tree.nodes)))
        return price[[search.tree.nodes.index(node) for node in nodes]]

    pair = [Solution("a", ("1 a\n", "2 a\n", "5."), False, computations=("1", "2", "")),
            Solution("b", ("1 b\n", "2 b\n", "4."), False, computations=("1", "3", ""))]
    one_text = [pair[0], replace(pair[1], steps=("1 a\n", "2 b\n", "4."))]
    np.testing.assert_allclose(prices(pair, 0.0), prices(one_text, None), rtol=1e-6)
    alone, wide, near = prices(pair, None), prices(pair, 0.6), prices(pair, 0.15)
    assert (near > 1.3 * alone).all() and (near > 1.1 * wide).all()


def test_what_is_computed_alike_after_something_else_is_no_wording() -> None:
    """Else the steps would form no tree. Last steps share nothing, and a text is one node however it is cut."""
    def numbers(*solutions: Solution) -> list[list[int]] | None:
        search = make_search("adaptive", solutions, SearchSettings(), 8, 10, replace(CHAIN, spread=0.3))
        assert isinstance(search, Adaptive) and search.values().keys() == {each.solution_id for each in solutions}
        computation = search.evidence().computation
        return None if computation is None else computation.tolist()

    other = replace(SOLUTIONS[2], computations=("6/2=4", "6/2=3", ""))
    assert numbers(*SOLUTIONS[:2], other) == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 5, 6, 7]]
    whole = Solution("d", ("".join(SOLUTIONS[0].steps[:2]), "So 7."), False, computations=("6/2=3", ""))
    assert numbers(*SOLUTIONS[:2], whole) == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 2, 5, -1]]
    assert numbers(*SOLUTIONS[:2], replace(whole, computations=None)) is None


def test_a_shared_step_counts_once_in_the_score_of_a_model() -> None:
    before, after = (Counts(np.array([[4.0, won, 0]] * 2), np.array([[4.0, lost, 0]] * 2), np.array([2, 2]),
                            np.array([False, False]), np.array([[0, 1, 2], [0, 1, 3]]))
                     for won, lost in ((0.0, 0.0), (3.0, 5.0)))
    q = CHAIN.beliefs(before).q[0, 1]
    assert _log_score(CHAIN, [[before, after]]) == pytest.approx(3 * np.log(q) + 5 * np.log(1 - q))


def test_a_solution_says_what_each_of_its_steps_computes() -> None:
    with pytest.raises(ValueError, match="has 3 steps and 2 computations; give one for every step"):
        replace(SOLUTIONS[0], computations=("6/2=3", "6/2=3"))
