"""The measures of a run as tables for a terminal: curves over k, rates and means, histograms, and what was spent.

In: `measures` of the run. Out: rich tables of all problems, or of each group where `by` names a grouping.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.run_folder import open_run_tables, run_tables
from stepforge.pipelines.stages.measure import shown_rows
from stepforge.pipelines.views.console import printable
from stepforge.pipelines.views.tables import lean

BARS = " ▁▂▃▄▅▆▇█"
Row = dict[str, Any]


def measure_tables(run: Path, by: str) -> list[Table]:
    """Tables of the measures by generator and group.

    Raises:
        UserError: the run has no measures, or none by this grouping.
    """
    with open_run_tables(run, "problems") as connection:
        rows = shown_rows(connection, read_rows(run_tables(run, "measures")["measures"]))
    chosen = [row for row in rows if row["by"] == by]
    if not chosen:
        known = ", ".join(sorted({row["by"] for row in rows})) or "nothing"
        raise UserError(f"{run} is not measured by {by!r}, but by {known}; problems must differ in what groups them")
    shapes = defaultdict(list)
    for row in chosen:
        shapes[_shape(row)].append(row)
    makers = {"curve": _curves, "rate": _rates, "histogram": _histograms, "total": _totals}
    return [lean(makers[shape](shapes[shape]), "generator", "group") for shape in makers if shapes[shape]]


def _shape(row: Row) -> str:
    if row["interval"] == "none":
        return "total"
    if row["measure"].endswith("_histogram"):
        return "histogram"
    return "rate" if row["k"] is None else "curve"


def _groups(rows: Iterable[Row], *names: str) -> Iterator[tuple[tuple, list[Row]]]:
    grouped: dict[tuple, list[Row]] = {}
    for row in rows:
        grouped.setdefault(tuple(row[name] for name in names), []).append(row)
    yield from grouped.items()


def _curves(rows: list[Row]) -> Table:
    """A line for each measure, a column for each of a few k, with the interval below the value."""
    ks = sorted({row["k"] for row in rows})
    ks = [k for k in ks if k in (1, 3, 10, 30, 100, ks[-1])]
    names = [Column(name, overflow="fold") for name in ("generator", "group", "measure")]
    table = Table(*names, *(f"k={k}" for k in ks), "problems", title="Measures of k samples, 95%")
    for (generator, group, measure), members in _groups(rows, "generator", "group", "measure"):
        at = {row["k"]: f"{row['value']:.3f}\n{_interval(row, 2)}" for row in members}
        table.add_row(_plain(generator), _plain(group), measure.replace("_", " "), *(at.get(k, "") for k in ks),
                      f"{members[0]['n']:,}")
    return table


def _rates(rows: list[Row]) -> Table:
    table = Table("generator", "group", "measure", "value", "95%", "of", title="Rates and means")
    for row in rows:
        table.add_row(_plain(row["generator"]), _plain(row["group"]), row["measure"].replace("_", " "),
                      f"{row['value']:,.3f}", _interval(row), f"{row['n']:,}")
    return table


def _histograms(rows: list[Row]) -> Table:
    """First pits from the first to the last step, advantages from -1 to 1; a bar is the share of its bin."""
    table = Table("generator", "group", "histogram", "shares, lowest bin first", "of", title="Histograms")
    for (generator, group, measure), members in _groups(rows, "generator", "group", "measure"):
        most = max(row["value"] for row in members)
        bars = "".join(BARS[ceil(8 * row["value"] / most)] for row in members)
        name = measure.removesuffix("_histogram").replace("_", " ")
        table.add_row(_plain(generator), _plain(group), name, bars, f"{members[0]['n']:,}")
    return table


def _totals(rows: list[Row]) -> Table:
    table = Table("generator", "group", "spent", "total", "requests", title="Tokens and FLOPs")
    for row in rows:
        total = f"{row['value']:.3g}" if row["measure"].endswith("flops") else f"{row['value']:,.0f}"
        table.add_row(_plain(row["generator"]), _plain(row["group"]), row["measure"].replace("_", " "), total,
                      f"{row['n']:,}")
    return table


def _interval(row: Row, digits: int = 3) -> str:
    return "" if row["low"] is None else f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"


def _plain(name: str) -> Text:
    """A name of the user's or of a source: shown as it is, without markup."""
    return Text(printable(name))
