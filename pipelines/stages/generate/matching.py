"""The problem that a recorded row names: by its text, by an id of its source, or by its problem_id.

In: the table of problems and what the stage before it dropped. Out: the problems under every name. A row of a problem
that was dropped as a duplicate has an id, too: its samples belong to the problem that stayed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stepforge.builders.parquet import read_rows
from stepforge.builders.sources.mapping import normal
from stepforge.pipelines.stages.problems.golds import original_of


class KnownProblem(NamedTuple):
    """A problem of the run, and its place in the table."""

    problem_id: str
    position: int


def known_problems(table: Path, drops: Path, by_id: bool) -> tuple[dict[str, tuple[KnownProblem, ...]], int]:
    """Problems by what samples name them by, a text or an id of the source, and by problem_id; and how many.

    `drops`: what the stage `problems` dropped; absent where it dropped nothing.
    """
    known: dict[str, tuple[KnownProblem, ...]] = {}
    rows: dict[str, KnownProblem] = {}  # by the name of their row, as drops call it
    position = -1
    for position, row in enumerate(read_rows(table, ["problem_id", "problem", "source", "source_id"])):
        place = KnownProblem(row["problem_id"], position)
        for key in {row["problem_id"], row["source_id"].strip() if by_id else normal(row["problem"])}:
            known[key] = (*known.get(key, ()), place)
        if by_id:
            rows[f"{row['source']}:{row['source_id']}"] = place
    for key, name in _duplicates(drops) if by_id and drops.exists() else ():
        if (original := rows.get(name)) and original not in known.get(key, ()):
            known[key] = (*known.get(key, ()), original)
    loose: dict[str, tuple[KnownProblem, ...]] = {}  # an id that is a whole number, by its digits alone
    for key, places in known.items() if by_id else ():
        loose[digits(key)] = (*loose.get(digits(key), ()), *places)
    return loose | known, position + 1


def _duplicates(drops: Path) -> Iterator[tuple[str, str]]:
    """The id of each problem that was dropped as a duplicate, and the name of the row that is the same and stayed."""
    originals = {row["row_id"]: original for row in read_rows(drops, ["row_id", "reason", "detail"])
                 if row["reason"] == "duplicate" and (original := original_of(row["detail"]))}
    for name, original in originals.items():
        followed = {name}
        while original in originals and original not in followed:
            followed.add(original)
            original = originals[original]
        yield name.partition(":")[2].strip(), original


def digits(key: str) -> str:
    """7 for 7.0: a table with an empty cell turns a column of whole numbers into floats."""
    return re.sub(r"(?<=\d)\.0+$", "", key) if key.replace(".", "", 1).lstrip("-").isdecimal() else key
