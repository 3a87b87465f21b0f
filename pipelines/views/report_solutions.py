"""The solutions that a report carries: JSON lines, compressed, in letters that no HTML parser can trip over.

In: the tables of a run. Out: base64 of a gzip stream, whose lines are problems (before their first solution) and
solutions. What models wrote is inside the stream alone: base64 has no `<`, and the page sets texts as text.
"""

import re
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from stepforge.builders.sql import load_sql, query_rows
from stepforge.pipelines.run_folder import Run
from stepforge.pipelines.views.mathematics import formulas, tree

MOST_FORMULAS = 100_000  # different ones, some 7,000 a second; the others stay LaTeX
LATEX = re.compile(r"[\\^_]")
TABLES = ("problems", "solutions", "verdicts", "duplicates", "steps")
MOST_BYTES = 9_000_000  # compressed; base64 makes 12 MB of it, and a page should stay below 15


class Carried(NamedTuple):
    """The data for the page, and how many solutions are in it."""

    base64: str
    solutions: int


def carry(run: Run, most: int, most_bytes: int = MOST_BYTES) -> Carried:
    """At most so many solutions, and no more than fit into `most_bytes`; annotated ones come first."""
    packer = zlib.compressobj(9, wbits=31)
    packed, count = bytearray(), 0
    known: dict[str, int] = {}
    drawn: set[str] = set()
    with run.duckdb(*TABLES) as connection:
        for row in query_rows(connection, load_sql(__package__, "report_solutions")):
            if count == most or len(packed) > most_bytes:
                break
            for line in _lines(row, known, drawn):
                packed += packer.compress(orjson.dumps(line) + b"\n")
            count += 1
    packed += packer.flush()
    return Carried(b64encode(bytes(packed)).decode("ascii"), count)


def _lines(row: Mapping[str, Any], known: dict[str, int], drawn: set[str]) -> Iterator[dict[str, Any]]:
    """The problem, where it is new, and the solution; nothing is said of what is null."""
    if row["problem_id"] not in known:
        known[row["problem_id"]] = len(known)
        yield from _formulas(row["problem"], row["gold"], drawn)
        yield _without_nulls({"kind": "problem", "id": row["problem_id"], "text": row["problem"], "gold": row["gold"],
                              "level": row["level"], "subject": row["subject"]})
    yield from _formulas(row["solution"], row["answer"], drawn)
    yield _without_nulls({
        "kind": "solution", "id": row["solution_id"], "problem": known[row["problem_id"]],
        "generator": row["generator"], "verdict": row["verdict"], "answer": row["answer"], "reason": row["reason"],
        "method": row["method"], "soundness": row["soundness"], "tokens": row["completion_tokens"],
        "survivor": row["survivor_id"],
        "text": None if row["steps"] else row["solution"],  # the steps joined are the text
        "steps": [_rounded(step) for step in row["steps"]] if row["steps"] else None,
    })


def _formulas(text: str, answer: str | None, drawn: set[str]) -> Iterator[dict[str, Any]]:
    """The mathematics of a text and of an answer, as far as it is not drawn yet."""
    for source in [*formulas(text), *([f"${answer}$"] if answer and LATEX.search(answer) else [])]:
        if source not in drawn and len(drawn) < MOST_FORMULAS:
            drawn.add(source)
            if (made := tree(source)) is not None:
                yield {"kind": "formula", "source": source, "tree": made}


def _rounded(step: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in step.items()}


def _without_nulls(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if value is not None}
