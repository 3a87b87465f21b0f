"""What a rollout asks for, what it is judged by, and how it counts."""

import asyncio
from collections.abc import Iterator

import pytest

from stepforge.pipelines.answers import Verifier
from stepforge.pipelines.credit.rollouts import Policy, Start, outcome_of
from stepforge.pipelines.inference.runner import Completion, Request
from stepforge.pipelines.options.generators import EmbeddedGenerator

WRITER = EmbeddedGenerator(name="tiny", engine="embedded")


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier() as opened:
        yield opened


def rolled(verifier: Verifier, prefix: str, completion: Completion, gold: str = "7",
           ids: tuple[int, ...] | None = None, max_tokens: int | None = None) -> tuple[dict, Request]:
    """The row of one rollout that was answered so, and its request."""
    asked = []

    async def generate(request: Request) -> list[Completion]:
        asked.append(request)
        return [completion]

    policy = Policy(WRITER, "tiny-id", 0, verifier, asyncio.Lock())
    start = Start(prefix, "s", 2, 3, ids=ids, max_tokens=max_tokens)
    ((row, passed),) = asyncio.run(policy.roll_out(generate, "p", "Problem: ", gold, [start]))
    assert (row["passed"], passed) == (0, [])
    return row, asked[0]


@pytest.mark.parametrize(("prefix", "text", "reason", "verdict", "outcome"), [
    ("So it is ", "7.\nThe answer is 7", "stop", "correct", "success"),
    ("The answer is 7", ".", "stop", "correct", "success"),               # said by the prefix alone
    ("The answer is", " 7", "stop", "correct", "success"),            # said by prefix and completion together
    ("The answer is", " 8", "stop", "incorrect", "failure"), ("Hmm. ", "I stop here", "stop", "undecided", "failure"),
    ("We add. ", "Then", "length", "undecided", "failure"), ("The answer is 7", "", "error", "undecided", "excluded"),
    ("The answer is 7", "", "prompt_too_long", "undecided", "excluded"),
])
def test_a_rollout_is_judged_by_prefix_and_completion_and_counts(verifier, prefix, text, reason, verdict, outcome):
    row, request = rolled(verifier, prefix, Completion(text, reason, 3, 7, None))
    assert request.payload["prompt"] == f"Problem: {prefix}"
    assert (row["verdict"], outcome_of(row)) == (verdict, outcome)
    assert (row["solution_id"], row["step_index"], row["index"], row["token_exact"]) == ("s", 2, 3, False)


def test_tokens_stand_for_prompt_and_prefix_where_they_are_known(verifier):
    row, request = rolled(verifier, "1 + 6 = ", Completion("7\nThe answer is 7", "stop", 3, 7, None), ids=(5, 6))
    assert request.payload["prompt"] == [5, 6] and row["token_exact"]


def test_a_rollout_from_other_tokens_or_another_prefix_is_another(verifier):
    ended = Completion("7", "stop", 3, 7, None)
    starts = [("So ", None), ("So ", (5, 6)), ("So ", (5, 7)), ("Thus ", None)]
    assert len({rolled(verifier, prefix, ended, ids=ids)[0]["rollout_id"] for prefix, ids in starts}) == 4


def test_a_rollout_that_may_write_less_is_another(verifier):
    ended, made = Completion("7", "stop", 3, 7, None), {}
    for limit in (None, 5, 6):
        row, request = rolled(verifier, "So ", ended, ids=(5, 6), max_tokens=limit)
        made[row["rollout_id"]] = request.payload["max_tokens"]
    assert list(made.values()) == [WRITER.max_tokens, 5, 6]


@pytest.mark.parametrize(("verdict", "finish_reason", "reason", "outcome"), [
    ("correct", "stop", None, "success"), ("incorrect", "stop", None, "failure"),
    ("undecided", "stop", "no_answer", "failure"), ("undecided", "length", "truncated", "failure"),
    ("undecided", "stop", "guessed", "failure"), ("undecided", "stop", "timeout", "excluded"),
    ("undecided", "stop", "gold_unparseable", "excluded"), ("undecided", "error", "no_answer", "excluded"),
    ("undecided", "error", None, "excluded"), ("undecided", "filtered", "no_answer", "excluded")])
def test_what_the_tools_could_not_do_counts_neither_way(verdict, finish_reason, reason, outcome):
    assert outcome_of({"verdict": verdict, "finish_reason": finish_reason, "reason": reason}) == outcome
