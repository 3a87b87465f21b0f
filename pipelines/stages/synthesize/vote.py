"""The vote on a new problem: solutions go in, the answer that enough of them state comes out, or why there is none.

Votes are counted by the key that the recipe's verifier gives an answer, so that `0.5` and `\\frac{1}{2}` are one
candidate. A solution that states no answer, offers many, or was cut off in it, is a vote for none; it counts among
those that came back.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stepforge.pipelines.answers import AnyVerifier
from stepforge.pipelines.inference.runner import Completion

MAX_CHARS = 200  # of an answer that can become gold


class Election(NamedTuple):
    """kept with an answer, or why not; the share of the solutions that came back which gives it; the same in words."""

    outcome: str
    detail: str
    answer: str | None = None
    agreement: float | None = None


def election(solutions: Sequence[Completion], agreement: float, verifier: AnyVerifier) -> Election:
    """The answer that at least the share `agreement` (above one half) of the solutions gives.

    Where less than half of the requests were answered at all, nothing is decided.
    """
    came = [solution for solution in solutions if not solution.dropped]
    if 2 * len(came) < len(solutions):
        failed = next(solution.error or "" for solution in solutions if solution.dropped)
        return Election("error", f"{len(solutions) - len(came)} of {len(solutions)} solutions failed: {failed}")
    stated = [verifier.stated(solution.text, solution.complete) for solution in came]
    answers = [vote for vote in stated if vote is not None and len(vote[0]) <= MAX_CHARS]
    votes = Counter(key for _, key in answers)
    if not votes:
        return Election("unsolved", f"none of {len(came)} solutions states an answer")
    # Among equals the smallest key, so that what is told of a tie does not depend on the order of the solutions.
    winner, count = min(votes.items(), key=lambda item: (-item[1], item[0]))
    share = count / len(came)
    agreed = f"{count} of {len(came)} solutions give one answer"
    if share < agreement:
        return Election("disagreement", agreed, agreement=share)
    spellings = Counter(answer for answer, key in answers if key == winner)
    return Election("kept", agreed, min(spellings, key=lambda text: (-spellings[text], len(text), text)), share)
