"""Cuts a solution into steps without losing a byte: ''.join(split(name, text)) == text, whatever the text is.

In: the name of a splitter and a text. Out: non-empty pieces in order (none for an empty text). A separator belongs to
the end of the step that it closes, so that a rollout which continues after a step starts on fresh ground. Pieces that
hold only white space join the step before them. VERSION is raised when any splitter would cut elsewhere; it stands in
the manifest beside the name.
"""

import re
from collections.abc import Callable, Iterable
from typing import get_args

from stepforge.pipelines.options.base import Splitter

VERSION = 1

# Spans are bounded and no quantified blanks meet: text of any kind is cut in about linear time.
_MATH = re.compile(r"\$\$.{,2000}?\$\$|\\\[.{,2000}?\\\]|\\\(.{,2000}?\\\)|\$[^$]{,2000}\$"
                   r"|\\begin\{(\w+\*?)\}.{,2000}?\\end\{\1\}", re.DOTALL)
_SENTENCE_END = re.compile(r"""[.!?…]["'”’)\]*]*\s+|[。！？]\s*|\n[ \t\r]*\n\s*""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|approx|resp|eq|eqs|fig|no|st|mr|mrs|ms|dr|prof|sr|jr|a\.m|p\.m)|(?<!\w)[A-Za-z]"
    r"|(?:^|\n)[ \t]*\d{1,3})\.$", re.IGNORECASE)
_HEADING = re.compile(r"^[ \t]*(?:#+[ \t]*|\*\*[ \t]*)?step[ \t]+\d+\b", re.IGNORECASE | re.MULTILINE)
_THOUGHT = re.compile(
    r"\n[ \t\r]*\n\s*|\n(?=[ \t]*(?:wait|hmm|but wait|alternatively|let me|actually|hold on|so,? now|okay|ok,|first,"
    r"|next,|then,|finally)\b)", re.IGNORECASE)


def newline(text: str) -> list[str]:
    """One step a line; for solutions in the manner of GSM8K."""
    return _cut(text, (m.end() for m in re.finditer(r"\n\s*(?:\n|$)|\n", text)))


def blank_line(text: str) -> list[str]:
    """One step a paragraph."""
    return _cut(text, (m.end() for m in re.finditer(r"\n[ \t\r]*\n\s*", text)))


def sentence(text: str) -> list[str]:
    """One step a sentence; never inside math, a decimal, an abbreviation or an initial, nor after "1." in a list."""
    math = [m.span() for m in _MATH.finditer(text)]
    return _cut(text, (m.end() for m in _SENTENCE_END.finditer(text)
                       if not any(a < m.end() < b for a, b in math)
                       and not _ABBREVIATION.search(text, max(0, m.start() - 12), m.start() + 1)))


def step_heading(text: str) -> list[str]:
    """Cut before every line that starts with "Step 3", "**Step 3", "## Step 3"; what precedes the first is a step."""
    return _cut(text, (m.start() for m in _HEADING.finditer(text)))


def path(text: str) -> list[str]:
    """One step a node of a path such as "12,7,30"; the comma belongs to the node before it."""
    return _cut(text, (m.end() for m in re.finditer(r",\s*", text)))


def thoughts(text: str) -> list[str]:
    """The thoughts of a reasoning model: cut after <think> and </think>, at paragraphs and where it turns ("Wait")."""
    tags = (m.end() for m in re.finditer(r"</?think>\s*", text))
    return _cut(text, sorted({*tags, *(m.end() for m in _THOUGHT.finditer(text))}))


SPLITTERS: dict[str, Callable[[str], list[str]]] = {name: globals()[name] for name in get_args(Splitter)}


def split(name: str, text: str, min_chars: int = 0, max_steps: int | None = None) -> list[str]:
    """Steps of a text by a named splitter.

    `min_chars`: a step shorter than this (white space at its ends not counted) is joined to the next one, the last
    one to that before it. `max_steps`: where there would be more, the least `min_chars` that leaves no more.
    """
    if name not in SPLITTERS:
        raise ValueError(f"splitter {name!r} is unknown; allowed: {', '.join(SPLITTERS)}")
    if min_chars < 0 or (max_steps is not None and max_steps < 1):
        raise ValueError(f"split: min_chars is {min_chars} and max_steps {max_steps}; "
                         "allowed: min_chars >= 0, max_steps >= 1 or none")
    pieces = SPLITTERS[name](text)
    merged = _merge_short(pieces, min_chars)
    if max_steps is None or len(merged) <= max_steps:
        return merged
    too_few, enough = min_chars, len(text) + 1     # joined to one step at the latest
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if len(_merge_short(pieces, middle)) <= max_steps else (middle, enough)
    return _merge_short(pieces, enough)


def _cut(text: str, ends: Iterable[int]) -> list[str]:
    """The pieces between cut points; one that is only white space goes to the piece before, the first to the next."""
    pieces: list[str] = []
    start = 0
    for end in [*ends, len(text)]:
        piece = text[start:end]
        if piece and pieces and (not piece.strip() or not pieces[-1].strip()):
            pieces[-1] += piece
        elif piece:
            pieces.append(piece)
        start = max(start, end)
    return pieces


def _merge_short(pieces: list[str], min_chars: int) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        if merged and len(merged[-1].strip()) < min_chars:
            merged[-1] += piece
        else:
            merged.append(piece)
    if len(merged) > 1 and len(merged[-1].strip()) < min_chars:
        merged[-2:] = [merged[-2] + merged[-1]]
    return merged
