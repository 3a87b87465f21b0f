"""Run-ons: after its answer the model makes up another problem and solves that too (`#### 42\nQuestion: … #### 9`).

In: a text. Out: the offsets at which a new problem may start. The solution ends at the first of them that follows an
answer. Numbered headings (`Problem 1:`, `Problem 2:`) are parts of one solution and start no new problem.
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
    """Offsets of the headings that start a problem; a heading at offset 0 is the problem that was asked."""
    if not any(map(text.__contains__, _MAY)):
        return []
    headings = list(islice(_HEADING.finditer(text), MAX_HEADINGS))
    if len(headings) > 1 and (headings[0]["number"] or headings[0]["count"]):
        return []
    return [heading.start() for heading in headings if heading.start()]
