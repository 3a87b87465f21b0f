"""Names of quantities: `AB=5` and `AC=5` state two lengths, `P(A)=0.5` and `P(B)=0.5` two probabilities.

Names, or a reference and the text of a solution, go in; whether they name two things comes out. Letters that a
solution may choose freely (`x`, the `t` of `f(t)`) are no such names.
"""

import re
from collections.abc import Callable

from stepforge.pipelines.answers.matches import OTHER_WORDS, UNCLEAR, Match, unclear_where_equal
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.relations import statement
from stepforge.pipelines.answers.structure import structure

REACH = 80           # characters before an answer that may name it
_LENGTH = re.compile(r"(?:\\(?:overline|overrightarrow|vec|bar|text)\{)?([A-Z]{2})\}?").fullmatch
_EVENT = re.compile(r"(\\?[a-zA-Z]+)\(([A-Z](?:,[A-Z])*)\)").fullmatch
_NAMED = re.compile(r"(?<![a-zA-Z\\_)=])([a-zA-Z](?:[A-Z]|_\w)?(?:\([A-Z]\))?)\s*=\s*"
                    r"(?:[\s$({*]|\\[(\[]|\\(?:boxed|fbox)(?![a-zA-Z]))*$")


def are_two(first: str, second: str) -> bool:
    """Whether two names are sure to mean two things: the letters of lengths and of events are given by the problem."""
    lengths = _LENGTH(first), _LENGTH(second)
    if lengths[0] and lengths[1]:
        return sorted(lengths[0][1]) != sorted(lengths[1][1])
    events = _EVENT(first), _EVENT(second)
    return bool(events[0] and events[1]) and events[0][1] == events[1][1] and events[0][2] != events[1][2]  # type: ignore[index]


def letters_of(name: str) -> str:
    """A name as it is compared: without markup, and words in one case."""
    plain = name.replace("\\text", "").replace(" ", "").translate(str.maketrans("", "", "\\{}"))
    return plain.casefold() if len(plain) > 1 and "(" not in plain else plain


def permuted(gold: tuple[str, str], answer: tuple[str, str], compare: Callable[[str, str], Match]) -> Match:
    """Compare two tuples, each with the tuple of its names: `(c,b)=(5,6)` says the same as `(b,c)=(6,5)`."""
    names, others = (named[0].strip("()").split(",") for named in (gold, answer))
    values = structure(answer[1])
    if sorted(names) == sorted(others) and values and len(values.parts) == len(others):
        by_name = dict(zip(others, values.parts, strict=True))
        return compare(gold[1], f"({','.join(by_name[name] for name in names)})")
    return unclear_where_equal(compare(gold[1], answer[1]))


def named_otherwise(gold: str, text: str, answer: str) -> Match | None:
    """What a name right before a bare answer makes of it: `AC = \\boxed{5}` where the reference is `AB = 5`."""
    if "=" not in gold or "=" in answer:
        return None
    asked = statement(canonical(gold)).name
    at = text.rfind(answer)
    if asked is None or at < 0 or not (named := _NAMED.search(text[max(0, at - REACH):at])):
        return None
    name = canonical(named[1])
    chained = text[:max(0, at - REACH) + named.start()].rstrip().endswith("=")              # AB = AC = 5
    if name == asked or len(name) != len(asked) or chained:
        return None
    return OTHER_WORDS if are_two(asked, name) else UNCLEAR
