"""What a comparison comes to: a `Match`, and how the matches of parts add up."""

from collections.abc import Callable
from typing import NamedTuple

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.outcome import Method

NEEDS_SYMBOLIC = "needs_symbolic"


class Match(NamedTuple):
    """equal: None where it cannot be told, for `reason`; method: the highest tier that was needed."""

    equal: bool | None
    method: Method
    reason: str | None = None


Symbolic = Callable[[str, str], Match]
EQUAL, UNEQUAL = Match(True, "numeric"), Match(False, "numeric")
SAME_WORDS, OTHER_WORDS = Match(True, "literal"), Match(False, "literal")
UNCLEAR = Match(None, "none", outcome.AMBIGUOUS)
NO_GOLD = Match(None, "none", outcome.GOLD_UNPARSEABLE)
TOO_BIG = Match(None, "none", outcome.OUT_OF_BOUNDS)


def all_of(matches: list[Match]) -> Match:
    """The conjunction: one unequal part decides, else one unknown part does."""
    ranks: tuple[Method, ...] = ("none", "literal", "numeric", "symbolic")
    method: Method = max((match.method for match in matches), key=ranks.index, default="literal")
    for match in matches:
        if match.equal is False:
            return Match(False, match.method, match.reason)
    unknown = [match for match in matches if match.equal is None]
    if unknown:
        return next((match for match in unknown if match.reason == NEEDS_SYMBOLIC), unknown[0])
    return Match(True, method)


def unclear_where_equal(match: Match) -> Match:
    """Equal values under names that may or may not mean the same."""
    return UNCLEAR if match.equal else match
