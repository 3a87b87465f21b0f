"""What the sources say of steps: reading in order, sharing of reads, and that evidence moves beliefs, never counts."""

import numpy as np
import pytest

from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.evidence import SOURCES, default_rates, flags_of
from stepforge.pipelines.credit.search import SearchSettings, Solution

EQUATIONS, JUDGE = SOURCES.index("equations"), SOURCES.index("judge")


def test_a_source_reads_in_order_and_stops_at_what_it_names() -> None:
    flags = flags_of([[0, 1, 2, 3], [0, 4, 5]], [{"judge": 1}, {"judge": None, "equations": 0}])
    assert flags is not None
    assert flags.named[0, :, JUDGE].tolist() == [0, 0, 1, 0] and flags.passed[0, :, JUDGE].tolist() == [0, 1, 0, 0]
    assert flags.named[1, :, JUDGE].tolist() == [0] * 4 and flags.passed[1, :, JUDGE].tolist() == [0, 1, 1, 0]
    assert flags.named[1, :, EQUATIONS].tolist() == [0, 1, 0, 0] and flags.passed[1, :, EQUATIONS].tolist() == [0] * 4
    assert not flags.named[0, :, EQUATIONS].any() and not flags.passed[0, :, EQUATIONS].any(), "nothing was read"
    rates = default_rates()
    expected = np.where(flags.named[1, 1, :, None] > 0, rates, 1) * np.where(flags.passed[1, 1, :, None] > 0,
                                                                              1 - rates, 1)
    np.testing.assert_allclose(flags.factors(rates)[1, 1], expected.prod(0))


def test_solutions_that_share_a_step_share_one_opinion_on_it() -> None:
    """Two of three judges stop at the common step 0; the third goes on. One of them is not asked at all."""
    paths = [[0, 1, 2], [0, 1, 3], [0, 1, 4], [0, 1, 5]]
    flags = flags_of(paths, [{"judge": 0}, {"judge": 0}, {"judge": 1}, {}])
    assert flags is not None
    for row in range(4):
        assert (flags.named[row, 1, JUDGE], flags.passed[row, 1, JUDGE]) == pytest.approx((2 / 3, 1 / 3))
    assert flags.named[2, 2, JUDGE] == 1 and not flags.named[3, 2].any() and not flags.passed[3, 2].any()


def test_without_a_reading_there_is_no_evidence() -> None:
    assert flags_of([[0, 1]], [{}]) is None


def steps_of(name: str) -> tuple[str, ...]:
    return tuple(f"{name}{i}\n" for i in range(6))


def search(**first_errors: int | None) -> Adaptive:
    return Adaptive([Solution("s", steps_of("s"), False, first_errors=first_errors)], SearchSettings(), 8, 16)


def test_evidence_moves_the_pit_and_leaves_counts_and_their_intervals_alone() -> None:
    plain, judged = search().values()["s"], search(judge=2).values()["s"]
    assert max(range(6), key=lambda i: judged[i].pit_probability or 0) == 2
    assert (judged[2].pit_probability or 0) > 1.5 * (plain[2].pit_probability or 0)
    assert (judged[2].q_model or 0) < (plain[2].q_model or 0) and (judged[1].q_model or 0) > (plain[1].q_model or 0)
    assert [value[:9] for value in judged] == [value[:9] for value in plain]


def test_a_source_that_finds_nothing_speaks_against_a_fall() -> None:
    plain, judged = (s.values()["s"] for s in (search(), search(judge=None)))
    assert (judged[4].q_model or 0) > (plain[4].q_model or 0)


@pytest.mark.parametrize(("first_errors", "message"), [
    ({"judge": 6}, "'judge' names step 6 of 6; allowed"), ({"judge": -1}, "a step from 0 to 5 or None"),
    ({"oracle": 1}, "'oracle' names step 1 of 6; allowed: equations, judge, values")])
def test_a_step_that_does_not_exist_and_a_source_that_is_unknown_are_refused(first_errors: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(**first_errors)
