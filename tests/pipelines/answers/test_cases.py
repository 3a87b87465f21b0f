"""Verdicts on small inputs, a file for each kind of difficulty: `cases/KIND.jsonl`, one case per line.

A case is {"gold": "2", "solution": "So \\boxed{x=1 \\text{ or } x=2}.", "verdict": "incorrect"}: the reference, what a
model wrote, and the verdict that a careful mathematics teacher gives. With STEPFORGE_TEST_DATA set, the cases of its
`verdict_cases.jsonl` are judged too.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stepforge.pipelines.answers import Claim, Verifier, reward

CASES = Path(__file__).parent / "cases"
SHARED = Path(os.environ.get("STEPFORGE_TEST_DATA", ""), "verdict_cases.jsonl")


class Case(NamedTuple):
    kind: str
    gold: str
    solution: str
    verdict: str


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def own_cases() -> list[Case]:
    return [Case(path.stem, row["gold"], row["solution"], row["verdict"])
            for path in sorted(CASES.glob("*.jsonl")) for row in rows(path)]


def shared_cases() -> list[Case]:
    return [Case(row["kind"], row["gold"], row["solution"], row["verdict"]) for row in rows(SHARED)] \
        if SHARED.is_file() else []


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=1, timeout_s=30) as shared:
        yield shared


def name(case: object) -> str:
    return f"{case.kind}: {case.gold} <- {case.solution}"[:90] if isinstance(case, Case) else str(case)


@pytest.mark.parametrize("case", own_cases(), ids=name)
def test_verdict_of_case(case: Case, verifier: Verifier) -> None:
    verdict = verifier.verify(Claim(case.gold, case.solution))
    assert verdict.verdict == case.verdict, verdict


@pytest.mark.skipif(not SHARED.is_file(), reason="STEPFORGE_TEST_DATA names no folder with verdict_cases.jsonl")
@pytest.mark.parametrize("case", shared_cases(), ids=name)
def test_verdict_of_shared_case(case: Case, verifier: Verifier) -> None:
    verdict = verifier.verify(Claim(case.gold, case.solution))
    assert verdict.verdict == case.verdict, verdict


def test_every_case_is_written_once() -> None:
    cases = own_cases()
    assert len(set(cases)) == len(cases)


@pytest.mark.parametrize("kind", ["hedged_or_denied", "alternatives_in_one_box", "several_boxes"])
def test_hedge_list_of_guesses_and_denial_earn_nothing(kind: str) -> None:
    """Whoever offers several answers, bounds one or denies one gets 0.0, never None, which trainers leave out."""
    cases = [case for case in own_cases() + shared_cases() if case.kind == kind and case.verdict != "correct"]
    rewards = reward([case.solution for case in cases], answer=[case.gold for case in cases])
    assert len(cases) >= 5
    assert [case for case, points in zip(cases, rewards, strict=True) if points != 0.0] == []
