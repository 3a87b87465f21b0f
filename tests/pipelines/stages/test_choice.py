"""What annotate chooses once for a whole run does not depend on the order or the number of its problems."""

import random

from stepforge.pipelines.stages.annotate.choice import Choice, choose


def rows(count):
    """Problems whose hashes run against their ids, with two solutions of 30 characters in all, one judged."""
    return [{"problem_id": f"p{number:05d}", "draw": f"{count - number:05d}", "solutions": 2, "characters": 30,
             "judged": 1} for number in range(count)]


def test_the_pilot_are_the_problems_with_the_smallest_hashes_in_any_order():
    given = rows(3000)
    last = [f"p{number:05d}" for number in (2999, 2998, 2997)]
    for seed in range(3):
        random.Random(seed).shuffle(given)
        assert choose(given, 3) == Choice(3000, 6000, 3000, last, 15.0)


def test_without_solutions_there_is_no_typical_length():
    assert choose([], 3) == Choice(0, 0, 0, [], None)
