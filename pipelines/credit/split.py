"""Cuts a solution into steps without losing a byte: ''.join(split(name, text)) == text, whatever the text is.

In: the name of a splitter and a text. Out: non-empty pieces in order (none for an empty text). A separator belongs to
the end of the step that it closes, so that a rollout which continues after a step starts on fresh ground. Pieces that
hold only white space join the step before them. No splitter cuts inside mathematics, a fenced block of code or a
table, nor between a colon and what it announces of these. VERSION is raised when any splitter would cut elsewhere; it
stands in the manifest beside the name.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import get_args

from stepforge.pipelines.options.base import Splitter

VERSION = 2
FEWEST = 3  # steps that `auto` wants
AUTO: tuple[Splitter, ...] = ("step_heading", "blank_line", "newline", "sentence")  # in the order in which it looks

# Spans are bounded and no quantified blanks meet: any text is cut in about linear time. A bracket that opens again was
# never closed. A dollar that opens mathematics touches what follows, one that closes it touches what precedes, and no
# digit follows: others are money.
_WHOLE = re.compile(r"^[ \t]*(?P<fence>```+|~~~+)[^\n]*\n.{,6000}?^[ \t]*(?P=fence)[ \t]*$|\$\$.{,4000}?\$\$"
                    r"|(?<!\\)\\\[(?:[^\\]|\\[^\[]){,4000}?\\\]|(?<!\\)\\\((?:[^\\]|\\[^(]){,2000}?\\\)"
                    r"|\\begin\{(?P<name>\w+\*?)\}.{,6000}?\\end\{(?P=name)\}"
                    r"|(?<!\\)\$(?![\s$])(?:[^$\n\\]|\\.){,2000}?(?<!\s)\$(?!\d)", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SENTENCE_END = re.compile(r"""[.!?…]["'”’)\]*]*\s+|[。！？]\s*|\n[ \t\r]*\n\s*""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|approx|resp|eq|eqs|fig|no|st|mr|mrs|ms|dr|prof|sr|jr|a\.m|p\.m)|(?<!\w)[A-Za-z]"
    r"|(?:^|\n)[ \t]*\d{1,3})\.$", re.IGNORECASE)
_HEADING = re.compile(r"^[ \t]*(?:#+[ \t]*|\*\*[ \t]*)?step[ \t]+\d+\b", re.IGNORECASE | re.MULTILINE)
_THOUGHT = re.compile(
    r"\n[ \t\r]*\n\s*|\n(?=[ \t]*(?:wait|hmm|but wait|alternatively|let me|actually|hold on|so,? now|okay|ok,|first,"
    r"|next,|then,|finally)\b)", re.IGNORECASE)


def newline(text: str) -> Iterator[int]:
    """One step a line; for solutions in the manner of GSM8K."""
    return (m.end() for m in re.finditer(r"\n\s*(?:\n|$)|\n", text))


def blank_line(text: str) -> Iterator[int]:
    """One step a paragraph."""
    return (m.end() for m in re.finditer(r"\n[ \t\r]*\n\s*", text))


def sentence(text: str) -> Iterator[int]:
    """One step a sentence; never inside a decimal, an abbreviation or an initial, nor after "1." in a list."""
    return (m.end() for m in _SENTENCE_END.finditer(text)
            if not _ABBREVIATION.search(text, max(0, m.start() - 12), m.start() + 1))


def step_heading(text: str) -> Iterator[int]:
    """Cut before every line that starts with "Step 3", "**Step 3", "## Step 3"; what precedes the first is a step."""
    return (m.start() for m in _HEADING.finditer(text))


def path(text: str) -> Iterator[int]:
    """One step a node of a path such as "12,7,30"; the comma belongs to the node before it."""
    return (m.end() for m in re.finditer(r",\s*", text))


def thoughts(text: str) -> Iterable[int]:
    """The thoughts of a reasoning model: cut after <think> and </think>, at paragraphs and where it turns ("Wait")."""
    tags = (m.end() for m in re.finditer(r"</?think>\s*", text))
    return sorted({*tags, *(m.end() for m in _THOUGHT.finditer(text))})


# Where each splitter would cut a text: rising offsets.
SPLITTERS: dict[str, Callable[[str], Iterable[int]]] = {
    name: globals()[name] for name in get_args(Splitter) if name != "auto"}


def split(name: str, text: str, min_chars: int = 0, max_steps: int | None = None) -> list[str]:
    """Steps of a text by a named splitter, `auto` among them.

    `min_chars`: a step shorter than this (white space at its ends not counted) is joined to the next one, the last
    one to that before it. `max_steps`: where there would be more, the least `min_chars` that leaves no more.
    """
    if min_chars < 0 or (max_steps is not None and max_steps < 1):
        raise ValueError(f"split: min_chars is {min_chars} and max_steps {max_steps}; "
                         "allowed: min_chars >= 0, max_steps >= 1 or none")
    pieces = _pieces(chosen(name, text, max_steps), text)
    merged = _merge_short(pieces, min_chars)
    if max_steps is None or len(merged) <= max_steps:
        return merged
    too_few, enough = min_chars, len(text) + 1     # joined to one step at the latest
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if len(_merge_short(pieces, middle)) <= max_steps else (middle, enough)
    return _merge_short(pieces, enough)


def chosen(name: str, text: str, max_steps: int | None = None) -> str:
    """The splitter that cuts this text: `name`, or the one that `auto` takes.

    That is the first of headings, paragraphs, lines and sentences which gives 3 to `max_steps` steps; where none does,
    the first that gives more (they are merged), else the first that gives the most.
    """
    if name not in (*SPLITTERS, "auto"):
        raise ValueError(f"splitter {name!r} is unknown; allowed: {', '.join(get_args(Splitter))}")
    if name != "auto":
        return name
    steps = {each: len(_pieces(each, text)) for each in AUTO}
    enough = [each for each in AUTO if steps[each] >= FEWEST]
    fitting = [each for each in enough if max_steps is None or steps[each] <= max_steps]
    return (fitting or enough or [max(AUTO, key=steps.__getitem__)])[0]


def _pieces(name: str, text: str) -> list[str]:
    """The pieces between cut points; one that is only white space goes to the piece before, the first to the next."""
    begins, ends = _whole(text)
    pieces: list[str] = []
    start = 0
    for end in [*SPLITTERS[name](text), len(text)]:
        around = bisect_left(begins, end) - 1
        if around >= 0 and end < ends[around]:
            continue
        piece = text[start:end]
        if piece and pieces and (not piece.strip() or not pieces[-1].strip()):
            pieces[-1] += piece
        elif piece:
            pieces.append(piece)
        start = max(start, end)
    return pieces


@lru_cache(maxsize=1)
def _whole(text: str) -> tuple[list[int], list[int]]:
    """Where no cut may lie: begins and ends of mathematics, code and tables, with the colon that announces them."""
    begins: list[int] = []
    ends: list[int] = []
    for start, end in sorted([*(m.span() for m in _WHOLE.finditer(text)), *_tables(text)]):
        colon = text.rfind(":", max(0, start - 20), start)
        begin = start if colon < 0 or text[colon + 1:start].strip(" \t\r\n*_") else colon
        if ends and begin < ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends


def _tables(text: str) -> Iterator[tuple[int, int]]:
    """Tables of Markdown: a line with bars, a rule of dashes and bars under it, and lines with bars that follow."""
    lines = [(m.start(), m.end(), m[0].strip()) for m in _LINE.finditer(text)] if "|" in text else []
    at = 0
    while at + 1 < len(lines):
        rule = lines[at + 1][2]
        if "|" in lines[at][2] and "|" in rule and "-" in rule and not rule.strip("|-: \t"):
            begin = at
            while at < len(lines) and "|" in lines[at][2]:
                at += 1
            yield lines[begin][0], lines[at - 1][1]
        else:
            at += 1


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
