"""Estimators of k samples are exact: they equal, as fractions, what counting every subset gives."""

import random
from fractions import Fraction
from itertools import combinations, product

import pytest

from stepforge.pipelines.statistics.subsets import AnswerCount, hit, majority_at_k


@pytest.mark.parametrize("n", range(1, 9))
def test_hit_is_the_share_of_subsets_that_hold_a_member(n):
    for members, k in product(range(n + 1), range(1, n + 1)):
        subsets = list(combinations([True] * members + [False] * (n - members), k))
        assert hit(n, members, k) == Fraction(sum(map(any, subsets)), len(subsets))


def outcome(answers):
    """Share of the commonest answers that are correct; `right` answers are. None casts no vote."""
    votes = [answer for answer in answers if answer is not None]
    most = max((votes.count(answer) for answer in votes), default=0)
    best = {answer for answer in votes if votes.count(answer) == most}
    return Fraction(sum(answer.startswith("right") for answer in best), max(1, len(best)))


@pytest.mark.parametrize("seed", range(60))
def test_majority_is_the_mean_over_all_subsets(seed):
    """Two correct answers may differ in their keys; some samples give no answer."""
    draw = random.Random(seed)
    answers = [draw.choice(["right", "right again", "a", "b", "c", None][: draw.randint(2, 6)])
               for _ in range(draw.randint(1, 9))]
    votes = [AnswerCount(answers.count(answer), answers.count(answer) * answer.startswith("right"))
             for answer in sorted({answer for answer in answers if answer})]
    ks = range(1, len(answers) + 1)
    for k, value in majority_at_k(len(answers), votes, ks).items():
        subsets = list(combinations(answers, k))
        assert value == sum(map(outcome, subsets), Fraction(0)) / len(subsets)


def test_majority_of_a_hundred_samples_meets_a_simulation():
    """20,000 random subsets for each k; five standard errors are missed by chance once in a million."""
    answers = ["right"] * 34 + ["a"] * 30 + ["b"] * 9 + list("cdefghijklmnopq") + [None] * 12
    votes = [AnswerCount(34, 34), AnswerCount(30, 0), AnswerCount(9, 0), *[AnswerCount(1, 0)] * 15]
    draw = random.Random(0)
    for k, value in majority_at_k(100, votes, [1, 3, 10, 30]).items():
        mean = sum(outcome(draw.sample(answers, k)) for _ in range(20_000)) / 20_000
        assert abs(float(value) - float(mean)) < 5 * 0.5 / 20_000**0.5


def test_hit_of_many_samples_meets_a_simulation():
    """20,000 subsets for each; five standard errors are missed by chance once in a million."""
    draw = random.Random(1)
    for n, members, k in [(100, 3, 10), (500, 1, 250), (1000, 40, 30)]:
        met = sum(min(draw.sample(range(n), k)) < members for _ in range(20_000)) / 20_000
        assert abs(float(hit(n, members, k)) - met) < 5 * 0.5 / 20_000**0.5


def test_large_counts_keep_every_digit():
    assert hit(10_000, 1, 3) == Fraction(3, 10_000)
    assert float(hit(100_000, 50_000, 1000)) == 1.0 and hit(100_000, 50_000, 1000) < 1


@pytest.mark.parametrize(("n", "members", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_impossible_counts_are_refused(n, members, k):
    with pytest.raises(ValueError, match="allowed is 1 <= k <= n"):
        hit(n, members, k)


def test_more_votes_than_samples_are_refused():
    with pytest.raises(ValueError, match="3 votes of 2 samples"):
        majority_at_k(2, [AnswerCount(3, 3)], [1])
