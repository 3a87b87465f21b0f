"""Verdicts for a file of one's own, without a recipe: gold answers and solutions in, a summary and a file of rows out.

A cell with a list of solutions, be it the text of one in a CSV file, is judged solution by solution. A row that cannot
be judged is left out with a reason and counted; nothing is judged as the text of a list or an object.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import tee
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stepforge.builders.errors import SourceError, UserError
from stepforge.builders.files import replacing
from stepforge.builders.parquet import write_rows
from stepforge.builders.sources.literals import list_in_text
from stepforge.builders.sources.misfits import Misfit
from stepforge.builders.sources.records import Drop, Record, read_records
from stepforge.builders.tables import INT, TEXT, VERDICTS, column
from stepforge.pipelines.answers import Claim, Verdict, open_verifier, outcome
from stepforge.pipelines.views.console import printable

JUDGED = pa.schema([
    column("row", TEXT, "Where the solution stands: file and row."),
    column("index", INT, "Its place, from 0, where a cell holds a list of solutions.", nullable=True),
    *(VERDICTS.schema.field(name) for name in Verdict._fields)])
FORMATS = (".jsonl", ".parquet")
EXAMPLES = 3   # golds without an answer that the summary shows


class Asked(NamedTuple):
    """A solution to judge and where it stands."""

    row: str
    place: int | None
    claim: Claim


class Summary:
    """What became of the rows of a file."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, str, str]] = Counter()
        self.left_out: Counter[str] = Counter()
        self.details: dict[str, Drop] = {}
        self.unusable: dict[str, str] = {}     # rows whose gold holds no answer, and that gold

    def judged(self, asked: Asked, verdict: Verdict) -> None:
        self.verdicts[verdict.verdict, verdict.reason or "", verdict.method] += 1
        if verdict.reason == outcome.GOLD_UNPARSEABLE:
            self.unusable[asked.row] = asked.claim.gold

    def leave_out(self, drop: Drop) -> None:
        self.left_out[drop.reason] += 1
        self.details.setdefault(drop.reason, drop)

    def shown(self) -> list[RenderableType]:
        """A table by verdict, reason and method, and in words what could not be used."""
        table = Table("verdict", "reason", "method", "solutions")
        for (verdict, reason, method), count in sorted(self.verdicts.items()):
            table.add_row(verdict, reason, method, f"{count:,}")
        lines: list[RenderableType] = [table]
        if self.unusable:
            examples = ", ".join(repr(printable(gold[:60])) for gold in list(dict.fromkeys(
                self.unusable.values()))[:EXAMPLES])
            lines.append(Text(f"{len(self.unusable):,} rows have a gold without an answer, such as {examples}"))
        lines += [Text(f"left out, {reason}: {self.left_out[reason]:,}; the first is {printable(drop.where)}: "
                       f"{printable(drop.detail)}") for reason, drop in sorted(self.details.items())]
        return lines


def verify_file(file: Path, gold: str, solution: str, out: Path | None = None, workers: int = 2,
                verifier: str = "math") -> list[RenderableType]:
    """Judge every solution of a file and write a row for each to `out`; returns what a person should see.

    Raises:
        UserError: a column is missing, `out` has another format or is the file itself, no solution can be judged, or
            the verifier cannot be used.
    """
    if out is not None and (out.suffix not in FORMATS or out.resolve() == file.resolve()):
        raise UserError(f"--out {out}: give a file that is not the input and ends in "
                        f"{' or '.join(FORMATS)}")
    summary = Summary()
    with open_verifier(verifier, workers) as judge:
        judge.versions()                       # one that cannot be used is told before anything is read
        mine, theirs = tee(_asked(file, gold, solution, summary))
        verdicts = judge.verify_many(asked.claim for asked in theirs)
        _write(out, _judged(mine, verdicts, summary))
    return summary.shown()


def _judged(all_asked: Iterable[Asked], verdicts: Iterator[Verdict], summary: Summary) -> Iterator[dict[str, Any]]:
    for asked, verdict in zip(all_asked, verdicts, strict=True):
        summary.judged(asked, verdict)
        yield {"row": asked.row, "index": asked.place, **verdict._asdict()}


def _write(out: Path | None, rows: Iterator[dict[str, Any]]) -> None:
    if out is None:
        for _ in rows:
            pass
    elif out.suffix == ".parquet":
        write_rows(out, rows, JUDGED)
    else:
        with replacing(out) as temporary, temporary.open("wb") as sink:
            sink.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _asked(file: Path, gold: str, solution: str, summary: Summary) -> Iterator[Asked]:
    """The solutions of the file, those that cannot be judged left out.

    Raises:
        SourceError: the first row lacks a column, or nothing is left to judge.
    """
    checked, count = False, 0
    for record in read_records([str(file)]):
        if isinstance(record, Record) and not checked:
            _require(record, {"--gold": gold, "--solution": solution})
            checked = True
        for asked in [record] if isinstance(record, Drop) else _solutions(record, gold, solution):
            if isinstance(asked, Drop):
                summary.leave_out(asked)
            else:
                count += 1
                yield asked
    if not count:
        reasons = "; ".join(f"{drop.where}: {drop.detail}" for drop in summary.details.values()) or "it has no rows"
        raise SourceError(f"{file} has no solution that can be judged: {printable(reasons)}")


def _require(record: Record, options: dict[str, str]) -> None:
    for option, name in options.items():
        if name not in record.values:
            raise SourceError(f"{option} {name!r}: no such column; {record.where} has "
                              f"{', '.join(map(repr, sorted(map(str, record.values))))}")


def _solutions(record: Record, gold: str, solution: str) -> Iterator[Asked | Drop]:
    """The solutions of a row: its cell, or each text where the cell is a list."""
    where = record.where
    if missing := [name for name in (gold, solution) if name not in record.values]:
        yield Drop(where, "malformed", f"no column {missing[0]!r}, which the first row has")
        return
    try:
        reference, cell = _value(record.values[gold]), _value(record.values[solution])
    except Misfit as misfit:
        yield Drop(where, "malformed", str(misfit))
        return
    if reference is not None and _text(reference) is None:
        yield Drop(where, "gold_not_text", f"--gold {gold!r} holds {_kind(reference)}; give a column of texts or "
                   "numbers")
        return
    for index, text in enumerate(cell if isinstance(cell, list) else [cell]):
        if (words := _text(text)) is not None:
            yield Asked(where, index if isinstance(cell, list) else None, Claim(_text(reference) or "", words))
        else:
            reason = "no_solution" if text is None else "solution_not_text"
            yield Drop(where, reason, f"--solution {solution!r} holds {_kind(text)}; give a column of texts, or of "
                       "lists of texts")
    if cell == []:
        yield Drop(where, "no_solution", f"--solution {solution!r} holds an empty list")


def _value(cell: Any) -> Any:
    """The list that a text holds, as cells of CSV files do; else the cell as it is. Raises Misfit."""
    value = list_in_text(cell) if isinstance(cell, str) else None
    return cell if value is None else value


def _text(value: object) -> str | None:
    """Text and numbers as text; null for what is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    return str(value)


def _kind(value: object) -> str:
    kinds = {bool: "true or false", list: "a list", dict: "an object"}
    return "nothing" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
