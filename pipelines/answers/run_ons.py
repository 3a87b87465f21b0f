"""Run-ons: a model that has answered and goes on with a problem of its own, `#### 42`, then `Question: …`, `#### 9`.

A text goes in; the places come out where a new problem may begin. What stands behind the first of them that follows
an answer is no part of the solution. Headings that count the parts of one solution (`Problem 1:`,
`Problem 2:`) begin none.
"""

import re
from itertools import islice

MAX_HEADINGS = 8     # looked at, from the beginning
_NAME = r"(?:(?:New|Next|Another) )?(?:Question|QUESTION|Problem|PROBLEM|Exercise|Instruction|Human|User|Q)"
_HEADING = re.compile(rf"(?:\n|\A)[ \t]*(?:[#>*_]+[ \t]*)*{_NAME}(?P<number>[ \t]*#?\d{{1,4}})?[ \t]*[*_]*:"
                      rf"|(?:\n|\A)[ \t]*(?:#{{1,6}}|\*\*)[ \t]*{_NAME}(?P<count>[ \t]*#?\d{{1,4}})?"
                      r"(?:\*\*)?[ \t]*(?=\n)")
_MAY = ("uestion", "UESTION", "roblem", "ROBLEM", "xercise", "nstruction", "Human:", "User:", "Q:", "Q1", "Q2")


def new_problems(text: str) -> list[int]:
    """Where a heading begins a problem, behind the beginning of the text."""
    if not any(map(text.__contains__, _MAY)):
        return []
    headings = list(islice(_HEADING.finditer(text), MAX_HEADINGS))
    if len(headings) > 1 and (headings[0]["number"] or headings[0]["count"]):
        return []
    return [heading.start() for heading in headings if heading.start()]
