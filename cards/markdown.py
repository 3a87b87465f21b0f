"""Untrusted text in Markdown: what a model, a data source or a recipe wrote is shown as text and never as markup.

`environment` gives a Jinja environment that escapes every expression. Only `Safe` strings pass as they are, and only
the functions of this file and the templates make them.
"""

import re
from collections.abc import Iterable

from jinja2 import Environment, PackageLoader, StrictUndefined

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-!|~$<>&:@])")
_LIMIT = 2000  # characters of one block on a card; a card is read by people
_EXCERPT = 600  # characters of a text in a cell


class Safe(str):
    """Markdown that may stand as it is."""


def clean(text: str) -> str:
    """`text` without characters that act instead of being seen (ESC, NUL, those that turn the direction of writing):
    each is written as its number. Line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def escape(text: object) -> Safe:
    """`text` on one line, with every character that Markdown, HTML or a table cell would read written as itself.

    Angle brackets and ampersands become entities, the rest takes a backslash. A backslash before `:` and `@` keeps
    addresses and mentions from turning into links.
    """
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    line = clean(" ".join(str(text).split()))
    return Safe(_SPECIAL.sub(lambda match: entities.get(match[0], "\\" + match[0]), line))


def fence(text: str, language: str = "text", lines: int = 16) -> Safe:
    """A code block that `text` cannot close, cut to 2,000 characters and `lines`, with a note of the rest."""
    shown = "".join(text[:_LIMIT].splitlines(keepends=True)[:lines])
    if len(shown) < len(text.rstrip("\n")):
        shown = f"{shown.rstrip()}\n[{len(text) - len(shown):,} more characters]"
    shown = clean(shown.rstrip("\n"))
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    return Safe(f"{ticks}{language}\n{shown}\n{ticks}")


def code(text: object) -> Safe:
    """Inline code that `text` cannot close and that keeps to its table cell."""
    line = clean(" ".join(str(text).split())).replace("|", "\\|") or " "
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Safe(f"{ticks}{pad}{line}{pad}{ticks}")


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> Safe:
    """A Markdown table; every cell is escaped unless it is `Safe`."""
    lines = [list(header), *(list(row) for row in rows)]
    cells = ["| " + " | ".join(_shown(cell) for cell in line) + " |" for line in lines]
    cells.insert(1, "|" + " --- |" * len(lines[0]))
    return Safe("\n".join(cells))


def lines(parts: Iterable[Safe]) -> Safe:
    """Lines of one table cell."""
    return Safe("<br>".join(parts))


def excerpt(text: str) -> Safe:
    """A text for a table cell, cut to 600 characters with a note; its lines stay lines."""
    shown = lines(escape(line) for line in text[:_EXCERPT].strip("\n").splitlines())
    left = len(text) - _EXCERPT
    return shown if left <= 0 else Safe(f"{shown}<br>\\[{left:,} more characters\\]")


def number(value: float | int | None) -> str:
    """A count with separators, or a measure with three digits behind the point; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def environment() -> Environment:
    made = Environment(loader=PackageLoader("stepforge.cards"), undefined=StrictUndefined, finalize=_shown,
                       trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    made.globals.update(code=code, fence=fence, table=table, number=number)
    return made


def _shown(value: object) -> Safe:
    return value if isinstance(value, Safe) else escape(value)
