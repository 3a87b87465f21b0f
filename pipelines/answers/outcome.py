"""What a verification takes in and gives back: a `Claim` goes in, a three-valued `Verdict` comes out.

`undecided` is an outcome of its own and always carries a reason, so that a time-out or an ambiguous form never
becomes a negative. `VERSION` is raised whenever a verdict could change for the same input.
"""

from importlib.metadata import version
from typing import Literal, NamedTuple

from stepforge.builders.outcomes import UNANSWERED

VERSION = 21

Outcome = Literal["correct", "incorrect", "undecided"]
Method = Literal["literal", "numeric", "symbolic", "none"]

NO_ANSWER = "no_answer"                # the solution states nothing that could be an answer
GUESSED = "guessed"                    # the answer is stated with doubt; or it is not, and what could be meant differs
TRUNCATED = "truncated"                # generation stopped at the length limit before an answer was stated
GOLD_UNPARSEABLE = "gold_unparseable"  # the reference answer is empty, undefined, or outside what can be read
TIMEOUT = "timeout"                    # the check ran past its deadline and was killed
OUT_OF_BOUNDS = "out_of_bounds"        # too long, too nested or too large to be evaluated safely
VERIFIER_FAILED = "verifier_failed"    # the verifier, ours or the user's, raised an exception
INVALID_VERDICT = "invalid_verdict"    # the user's verifier returned something that is no verdict
WORKER_DIED = "worker_died"            # the worker crashed or ran out of memory
AMBIGUOUS = "ambiguous"                # equal under one reading only: 5 and 5%, 52 and 52 in base 8, ab and ba
MANY_ANSWERS = "many_answers"          # with `incorrect`: several answers offered where one was asked for

UNDECIDED_REASONS = (*UNANSWERED, GOLD_UNPARSEABLE, TIMEOUT, OUT_OF_BOUNDS, VERIFIER_FAILED, INVALID_VERDICT,
                     WORKER_DIED, AMBIGUOUS)


class Claim(NamedTuple):
    """A reference answer and a solution that claims to reach it.

    gold: the reference answer, bare (`18`, `\\frac{1}{2}`), boxed, between dollars, or after `####` as in GSM8K.
    solution: the model's text.
    complete: whether the model ended the text itself; False when it was cut off at the length limit, None where
        nothing is known: then only a stated answer can be incorrect, never the last number of the text.
    """

    gold: str
    solution: str
    complete: bool | None = True


class Verdict(NamedTuple):
    """The outcome of one claim.

    answer: the answer as the solution states it, None where there is none.
    answer_key: canonical form of the answer, equal for `0.5`, `1/2` and `\\frac{1}{2}`; use it for voting.
    verdict: `correct`, `incorrect` or `undecided`.
    reason: why it is undecided (one of UNDECIDED_REASONS), or `many_answers` for such an incorrect one; else None.
    method: the tier that decided: `literal` (same text), `numeric` (exact arithmetic), `symbolic`, or `none`; a
        verifier of the user's has reasons and methods of its own.
    """

    answer: str | None
    answer_key: str | None
    verdict: Outcome
    reason: str | None
    method: str


def fingerprint() -> dict[str, str]:
    """Versions that a verdict depends on, for a manifest: ours and those of the symbolic tier's packages."""
    packages = ("math-verify", "latex2sympy2-extended", "antlr4-python3-runtime", "sympy")
    return {"stepforge-answers": str(VERSION)} | {name: version(name) for name in packages}
