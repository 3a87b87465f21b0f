"""Looking into a run: what a recipe would make, and single solutions with their values.

In: the folder of a run. Out: plain rows for the command line.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from stepforge.builders.errors import SourceError, UserError
from stepforge.builders.sources.records import Drop, Record, read_records, require_columns
from stepforge.builders.sql import query_rows
from stepforge.pipelines.answers import Claim, Verifier
from stepforge.pipelines.run_folder import open_run_tables

FIND_SQL = """
SELECT solutions.*, verdicts.* EXCLUDE (solution_id) FROM solutions JOIN verdicts USING (solution_id)
WHERE starts_with(solution_id, $id) LIMIT 2
"""
LIST_SQL = """
SELECT steps.solution_id, verdict, count(*) AS steps, max(CASE WHEN is_pit THEN step_index END) AS pit,
       min(advantage) AS worst
FROM steps JOIN verdicts USING (solution_id)
GROUP BY ALL ORDER BY verdict DESC, worst LIMIT 40
"""


def solution(run: Path, prefix: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The problem, the solution with its verdict, and its steps.

    Raises:
        UserError: no solution has such an id, or more than one.
    """
    with open_run_tables(run, "problems", "solutions", "verdicts", "steps") as connection:
        found = list(query_rows(connection, FIND_SQL, {"id": prefix}))
        if len(found) != 1:
            raise UserError(f"{'no solution' if not found else 'more than one solution'} has an id that starts with "
                            f"{prefix!r}; `stepforge show {run}` lists annotated ones")
        of_problem = {"id": found[0]["problem_id"]}
        problem = next(query_rows(connection, "SELECT * FROM problems WHERE problem_id = $id", of_problem))
        steps = list(query_rows(connection, "SELECT * FROM steps WHERE solution_id = $id ORDER BY step_index",
                                {"id": found[0]["solution_id"]}))
    return problem, found[0], steps


def annotated_table(run: Path) -> Table:
    """Up to 40 annotated solutions, incorrect ones with the deepest fall first."""
    table = Table("solution", "verdict", "steps", "pit", "lowest advantage")
    with open_run_tables(run, "steps", "verdicts") as connection:
        for row in query_rows(connection, LIST_SQL):
            pit = "" if row["pit"] is None else str(row["pit"])
            worst = "" if row["worst"] is None else f"{row['worst']:+.2f}"
            table.add_row(row["solution_id"][:12], row["verdict"], str(row["steps"]), pit, worst)
    return table


def verify_file(file: Path, gold: str, solution: str, out: Path | None, workers: int) -> Table:
    """Judge every row of a file; returns counts by verdict, reason and method, and writes a line a row to `out`."""
    dropped: Counter[str] = Counter()

    def records() -> Iterator[Record]:
        for record in read_records([str(file)]):
            if isinstance(record, Drop):
                dropped[record.reason] += 1
            else:
                require_columns(record, [gold, solution])
                yield record

    ours, theirs = tee(records())
    claims = (Claim(str(record.values[gold]), str(record.values[solution])) for record in theirs)
    counts: Counter[tuple[str, str, str]] = Counter()
    sink = out.open("wb") if out else None
    try:
        with Verifier(workers=workers) as verifier:
            for record, verdict in zip(ours, verifier.verify_many(claims), strict=True):
                counts[verdict.verdict, verdict.reason or "", verdict.method] += 1
                if sink:
                    sink.write(orjson.dumps({"row": record.where, **verdict._asdict()}) + b"\n")
    finally:
        if sink:
            sink.close()
    if not counts:
        raise SourceError(f"{file} holds no row that can be read; dropped: {dict(dropped)}")
    table = Table("verdict", "reason", "method", "rows")
    for (verdict_name, reason, method), count in sorted(counts.items()):
        table.add_row(verdict_name, reason, method, f"{count:,}")
    for reason, count in sorted(dropped.items()):
        table.add_row("not read", reason, "", f"{count:,}")
    return table
