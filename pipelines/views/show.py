"""Looking into a run: what a recipe would make, and single solutions with their values.

In: the folder of a run. Out: plain rows for the command line.
"""

from pathlib import Path
from typing import Any

from rich.table import Table

from stepforge.builders.errors import UserError
from stepforge.builders.sql import query_rows
from stepforge.pipelines.run_folder import open_run_tables

FIND_SQL = """
SELECT solutions.*, verdicts.* EXCLUDE (solution_id) FROM solutions JOIN verdicts USING (solution_id)
WHERE starts_with(solution_id, $id) LIMIT 2
"""
LIST_SQL = """
SELECT steps.solution_id, verdict, count(*) AS steps, max(CASE WHEN is_pit THEN step_index END) AS pit,
       min(advantage) AS worst
FROM steps JOIN verdicts USING (solution_id)
GROUP BY ALL ORDER BY verdict DESC, worst, solution_id LIMIT 40
"""


def solution(run: Path, prefix: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The problem, the solution with its verdict, and its steps.

    Raises:
        UserError: no solution has such an id, or more than one.
    """
    with open_run_tables(run, "problems", "solutions", "verdicts", "steps") as connection:
        matches = list(query_rows(connection, FIND_SQL, {"id": prefix}))
        if len(matches) != 1:
            raise UserError(f"{'no solution' if not matches else 'more than one solution'} has an id that starts with "
                            f"{prefix!r}; `stepforge show {run}` lists annotated ones")
        of_problem = {"id": matches[0]["problem_id"]}
        problem = next(query_rows(connection, "SELECT * FROM problems WHERE problem_id = $id", of_problem))
        steps = list(query_rows(connection, "SELECT * FROM steps WHERE solution_id = $id ORDER BY step_index",
                                {"id": matches[0]["solution_id"]}))
    return problem, matches[0], steps


def annotated_table(run: Path) -> Table:
    """Up to 40 annotated solutions, incorrect ones with the deepest fall first.

    Raises:
        UserError: there is none.
    """
    table = Table("solution", "verdict", "steps", "pit", "lowest advantage")
    with open_run_tables(run, "steps", "verdicts") as connection:
        for row in query_rows(connection, LIST_SQL):
            pit = "" if row["pit"] is None else str(row["pit"])
            worst = "" if row["worst"] is None else f"{row['worst']:+.2f}"
            table.add_row(row["solution_id"][:12], row["verdict"], str(row["steps"]), pit, worst)
    if not table.rows:
        raise UserError(f"{run} has no annotated solution: its recipe leaves `annotate` out, or no solution was "
                        f"chosen; `stepforge show {run} ID` shows any solution, `stepforge report {run}` all of them")
    return table
