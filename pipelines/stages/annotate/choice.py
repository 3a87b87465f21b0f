"""What annotate chooses once for a whole run: the problems of the pilot, and a typical length.

In: the problems of annotate.sql, all at once or bucket by bucket. Out: numbers and ids that every rank is then given,
so that no rank looks at problems of another.
"""

from collections.abc import Iterable
from heapq import nsmallest
from typing import Any, NamedTuple

from stepforge.pipelines.stages.shares import Query

DRAWN_SQL = """
SELECT problem_id, md5($seed || problem_id) AS draw, len(solutions)::BIGINT AS solutions,
       list_sum([length(s.solution) FOR s IN solutions])::BIGINT AS characters,
       len([s FOR s IN solutions IF s.soundness IN ('sound', 'unsound')])::BIGINT AS judged
FROM ({})
"""
CHOSEN_SQL = """
SELECT *, list_contains($pilot::VARCHAR[], problem_id) AS pilot, $typical_length::DOUBLE AS typical_length FROM ({})
"""


class Choice(NamedTuple):
    """Numbers of problems, of their solutions and of those that a judge decided on; ids of the pilot's problems; the
    mean length of a solution in characters, null without solutions."""

    problems: int
    solutions: int
    judged: int
    pilot: list[str]
    typical_length: float | None


def drawn(problems: Query) -> Query:
    """What `choose` looks at of problems: a row of numbers for each."""
    return Query(DRAWN_SQL.format(problems.sql), problems.tables, problems.parameters)


def choose(rows: Iterable[dict[str, Any]], pilot: int) -> Choice:
    """From the rows of `drawn` in any order; the pilot are the `pilot` problems with the smallest hashes."""
    draws: list[tuple[str, str]] = []
    problems = solutions = characters = judged = 0
    for row in rows:
        problems += 1
        solutions += row["solutions"]
        characters += row["characters"]
        judged += row["judged"]
        draws.append((row["draw"], row["problem_id"]))
        if len(draws) > 2 * pilot + 1000:
            draws = nsmallest(pilot, draws)
    ids = [problem_id for _, problem_id in nsmallest(pilot, draws)]
    return Choice(problems, solutions, judged, ids, characters / solutions if solutions else None)


def chosen(problems: Query, choice: Choice, only_pilot: bool = False) -> Query:
    """The problems, or those of the pilot alone, with the columns `pilot` and `typical_length`."""
    sql = CHOSEN_SQL.format(problems.sql)
    parameters = {"pilot": choice.pilot, "typical_length": choice.typical_length}
    return Query(f"FROM ({sql}) WHERE pilot" if only_pilot else sql, problems.tables,
                 {**problems.parameters, **parameters})
