"""The measures of a manifest as tables of a card: curves by k, means, groups of problems, false positives.

In go rows of the table `measures`; out come headers and rows of cells. A card shows few columns and few groups: all
values are in the manifest.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stepforge.cards.markdown import Safe, number

_JUDGED = {"false_equation_rate": "equations that are false (a lower bound)"}  # measure to the method that it names
FALSE_POSITIVES = ("false_positive", *_JUDGED)
MOST_KS, MOST_GROUPS = 5, 5
BY_GROUP = ("coverage", "diversity_text", "false_equation_rate", "completion_tokens", "first_pit_position")


class Shown(NamedTuple):
    """A table of a card, and how many rows it leaves out."""

    header: list[str]
    rows: list[list[str]]
    more: int = 0


def tables(whole: list[dict], measures: list[dict]) -> list[Shown]:
    """All tables that have rows: curves and means over all problems (`whole`), then groups of them."""
    shown = [curves(whole), means(whole), *groups(measures).values()]
    return [table for table in shown if table.rows]


def curves(measures: Iterable[dict]) -> Shown:
    """Measures at k samples: a row for each measure and generator, a column for each k."""
    cells: dict[tuple[str, str], dict[int, dict]] = {}
    for row in measures:
        if row.get("k") is not None:
            cells.setdefault((row["measure"], row["generator"]), {})[row["k"]] = row
    ks = _few(sorted({k for by_k in cells.values() for k in by_k}))
    rows = [[_words(measure), generator, number(max(row["n"] for row in by_k.values())),
             *(_estimate(by_k.get(k)) for k in ks)] for (measure, generator), by_k in sorted(cells.items())]
    return Shown(["measure", "generator", "problems", *(f"k = {k}" for k in ks)], rows)


def means(measures: Iterable[dict]) -> Shown:
    """Means without a k: a row for each measure, a column for each generator. The totals are the costs of stages."""
    cells: dict[str, dict[str, dict]] = {}
    for row in measures:
        if row.get("k") is None and row.get("interval") != "none":
            cells.setdefault(row["measure"], {})[row["generator"]] = row
    generators = sorted({name for by_generator in cells.values() for name in by_generator})
    rows = [[_words(measure), *(_estimate(by_generator.get(name)) for name in generators)]
            for measure, by_generator in sorted(cells.items())]
    return Shown(["mean", *generators], rows)


def groups(measures: Iterable[dict]) -> dict[str, Shown]:
    """For every grouping of the problems, a row for each group and generator; the largest groups first."""
    grouped: dict[str, dict[tuple[str, str], list[dict]]] = {}
    for row in measures:
        if row.get("by", "all") != "all":
            grouped.setdefault(row["by"], {}).setdefault((row["group"], row["generator"]), []).append(row)
    return {by: _group_table(by, members) for by, members in grouped.items()}


def _group_table(by: str, members: dict[tuple[str, str], list[dict]]) -> Shown:
    picked = {member: _main(rows) for member, rows in members.items()}
    columns = list(dict.fromkeys(name for main in picked.values() for name in main))
    size = {member: max((row["n"] for row in main.values()), default=0) for member, main in picked.items()}
    order = sorted(picked, key=lambda member: (-size[member], member))
    rows = [[*member, *(_estimate(picked[member].get(name)) for name in columns)] for member in order[:MOST_GROUPS]]
    return Shown([by, "generator", *columns], rows, max(0, len(order) - MOST_GROUPS))


def _main(rows: list[dict]) -> dict[str, dict]:
    """The measures that a group shows, by the title of their column: of a curve, its last k."""
    last = {row["measure"]: row for row in sorted(rows, key=lambda row: row.get("k") or 0)}
    return {_words(name) + (f" at {last[name]['k']}" if last[name].get("k") else ""): last[name]
            for name in BY_GROUP if name in last}


def false_positives(measures: Iterable[dict]) -> list[list[str]]:
    estimates = [row for row in measures if row["measure"].startswith(FALSE_POSITIVES)]
    return [[row["generator"], _method(row["measure"]), number(float(row["value"])), interval(row), number(row["n"])]
            for row in sorted(estimates, key=lambda row: (row["measure"], row["generator"]))]


def flops(measures: Iterable[dict], stage: str) -> float | None:
    """What the generators spent in a stage; None where no model's parameters are known."""
    known = [row["value"] for row in measures if row["measure"] == f"{stage}_flops"]
    return sum(known) if known else None


def interval(row: dict) -> str:
    if row.get("low") is None or row.get("high") is None:
        return "–"
    return f"{number(float(row['low']))} to {number(float(row['high']))}"


def _estimate(row: dict | None) -> str:
    """A value with its interval."""
    if row is None:
        return "–"
    return number(float(row["value"])) + (f" ({interval(row)})" if interval(row) != "–" else "")


def _few(ks: list[int]) -> list[int]:
    """Powers of two and the last k, at most `MOST_KS` of them."""
    chosen = [k for k in ks if k & (k - 1) == 0 or k == ks[-1]]
    return [chosen[0], *chosen[-MOST_KS + 1:]] if len(chosen) > MOST_KS else chosen


def _words(measure: str) -> str:
    return measure.replace("_", " ")


def _method(measure: str) -> str:
    if measure in _JUDGED:
        return Safe(_JUDGED[measure])
    return measure.removeprefix("false_positive_rate").replace("_", " ").strip() or "unnamed"
