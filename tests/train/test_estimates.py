"""The estimators are exact: they equal what counting every subset gives."""

import itertools
import random
from collections import Counter

import pytest

from stepforge.train.estimates import (
    Estimate,
    best_of_n,
    compare,
    harmonic_mean,
    maj_at_k,
    mcnemar,
    mean_over_problems,
    pass_at_k,
    proportion,
    weighted_maj_at_k,
)


def samples(seed: int) -> tuple[list[str | None], list[bool], list[float]]:
    """Up to eight samples that vote for few answers, one of them right; votes may be missing, scores be tied."""
    rng = random.Random(seed)
    votes = [rng.choice(["a", "b", "c", None]) for _ in range(rng.randint(1, 8))]
    return votes, [vote == "a" for vote in votes], [rng.choice([0.1, 0.5, 0.9]) for _ in votes]


def majority(votes: tuple[str | None, ...]) -> float:
    counts = Counter(vote for vote in votes if vote is not None)
    best = [answer for answer, count in counts.items() if count == max(counts.values())]
    return ("a" in best) / len(best) if best else 0.0


@pytest.mark.parametrize("seed", range(40))
def test_estimators_equal_the_mean_over_all_subsets(seed: int) -> None:
    votes, correct, scores = samples(seed)
    for k in range(1, len(votes) + 1):
        subsets = list(itertools.combinations(range(len(votes)), k))
        by_hand = sum(any(correct[i] for i in subset) for subset in subsets) / len(subsets)
        assert pass_at_k(len(votes), sum(correct), k) == pytest.approx(by_hand)
        by_hand = sum(majority(tuple(votes[i] for i in subset)) for subset in subsets) / len(subsets)
        assert maj_at_k(votes, correct, k) == pytest.approx(by_hand)
        by_hand = 0.0
        for subset in subsets:
            best = [i for i in subset if scores[i] == max(scores[j] for j in subset)]
            by_hand += sum(correct[i] for i in best) / len(best) / len(subsets)
        assert best_of_n(scores, correct, k) == pytest.approx(by_hand)
        by_hand = sum(heaviest([(votes[i], scores[i]) for i in subset]) for subset in subsets) / len(subsets)
        assert weighted_maj_at_k(votes, correct, scores, k, 0) == pytest.approx(by_hand)


def heaviest(votes: list[tuple[str | None, float]]) -> float:
    sums = Counter[str]()
    for vote, weight in votes:
        if vote is not None:
            sums[vote] += round(10 * weight)
    best = [answer for answer, total in sums.items() if total == max(sums.values())]
    return ("a" in best) / len(best) if best else 0.0


@pytest.mark.parametrize("k", [1, 4, 8])
def test_weights_that_are_equal_make_a_plain_majority(k: int) -> None:
    votes = ["a", "b", "b", None, "a", "c", "a", "b"]
    correct = [vote == "a" for vote in votes]
    assert weighted_maj_at_k(votes, correct, [0.3] * 8, k, 0) == pytest.approx(maj_at_k(votes, correct, k))


def test_votes_without_weight_choose_nothing() -> None:
    assert weighted_maj_at_k(["a", "a", None], [True, True, False], [0.0, 0.0, 1.0], 3, 0) == 0
    assert weighted_maj_at_k([None, None], [False, False], [1.0, 1.0], 1, 0) == 0


def test_too_many_subsets_are_drawn_from_a_seed_and_near_the_mean_over_all() -> None:
    """C(24, 12) is 2.7 million; 2,000 draws are off by more than 0.06 (five standard errors) once in a million."""
    rng = random.Random(1)
    votes: list[str | None] = [rng.choice("abc") for _ in range(24)]
    correct, same = [vote == "a" for vote in votes], [0.5] * 24
    share = weighted_maj_at_k(votes, correct, same, 12, 7)
    assert 0 < share < 1 and share == weighted_maj_at_k(votes, correct, same, 12, 7)
    assert share == pytest.approx(maj_at_k(votes, correct, 12), abs=0.06)
    assert share != weighted_maj_at_k(votes, correct, same, 12, 8)


def test_harmonic_mean_by_hand() -> None:
    f1 = harmonic_mean(Estimate(0.5, 0, 1, 40, 1), Estimate(0.8, 0, 1, 60, 2), seed=0)
    assert (f1.value, f1.n, f1.excluded) == (pytest.approx(2 * 0.5 * 0.8 / 1.3), 100, 3)
    assert 0.4 < f1.low < 0.5 < f1.value < 0.7 < f1.high < 0.8
    nothing = harmonic_mean(proportion([False] * 9), proportion([True] * 9), seed=0)
    assert nothing.value == nothing.low == 0 and 0.1 < nothing.high < 0.6
    assert harmonic_mean(proportion([]), proportion([True]), seed=0) == Estimate(0.0, 0.0, 1.0, 0, 0)
    everything = harmonic_mean(proportion([True] * 9), proportion([True] * 9), seed=0)
    assert everything.value == everything.high == 1 and everything.low < 0.95


def test_interval_of_the_harmonic_mean_holds_it_about_as_often_as_it_says() -> None:
    """60 pairs of samples of 50 and 80; fewer than 50 intervals that hold the truth happen by chance once in 3,000."""
    rng, held, truth = random.Random(0), 0, 2 * 0.3 * 0.9 / 1.2
    for seed in range(60):
        one, other = ([rng.random() < p for _ in range(n)] for p, n in ((0.3, 50), (0.9, 80)))
        f1 = harmonic_mean(proportion(one), proportion(other), seed)
        held += f1.low <= truth <= f1.high
    assert held >= 50


def test_one_vote_is_one_sample() -> None:
    votes, correct, _ = samples(3)
    assert maj_at_k(votes, correct, 1) == pytest.approx(pass_at_k(len(votes), sum(correct), 1))


def test_hundred_samples_are_counted_exactly_and_fast() -> None:
    votes = ["a"] * 40 + ["b"] * 35 + [str(i) for i in range(20)] + [None] * 5
    assert maj_at_k(votes, [vote == "a" for vote in votes], 100) == pytest.approx(1.0)
    assert 0.5 < maj_at_k(votes, [vote == "a" for vote in votes], 32) < 0.9


@pytest.mark.parametrize("k", [0, 4])
def test_k_beyond_the_samples_is_refused(k: int) -> None:
    for estimate in (lambda: pass_at_k(3, 1, k), lambda: maj_at_k(["a"] * 3, [True] * 3, k),
                     lambda: best_of_n([1.0] * 3, [True] * 3, k),
                     lambda: weighted_maj_at_k(["a"] * 3, [True] * 3, [1.0] * 3, k, 0)):
        with pytest.raises(ValueError, match="allowed is 1 <="):
            estimate()


def test_unknown_outcomes_are_excluded_and_counted() -> None:
    share = proportion([True, False, None, True])
    assert (share.value, share.n, share.excluded) == (pytest.approx(2 / 3), 3, 1)
    nothing = proportion([None])
    assert (nothing.low, nothing.high, nothing.n, nothing.excluded) == (0.0, 1.0, 0, 1)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(5, 5) == 1.0


def test_comparison_is_paired() -> None:
    first = [True] * 60 + [False] * 40
    second = [True] * 50 + [False] * 50
    comparison = compare(first, second, seed=0)
    assert (comparison.difference, comparison.only_first, comparison.only_second) == (pytest.approx(0.1), 10, 0)
    assert comparison.low > 0 and comparison.p < 0.01
    with pytest.raises(ValueError, match="1 and 2 outcomes"):
        compare([True], [True, False], seed=0)


def test_bootstrap_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    """40 sets of 200 draws; fewer than 32 intervals that hold 0.5 happen by chance once in 20,000."""
    rng, held = random.Random(0), 0
    for seed in range(40):
        mean = mean_over_problems([rng.random() for _ in range(200)], seed)
        held += mean.low <= 0.5 <= mean.high
    assert held >= 32
