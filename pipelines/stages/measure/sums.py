"""What measures need of a run as sums of whole numbers, which buckets of problems give one by one.

In: a connection that sees the tables of some problems, as `open_bucket` gives it. Out: for every statement below its
sums by key; those of several buckets add up to those of the whole run exactly, in any order.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import duckdb

from stepforge.builders import configs
from stepforge.builders.sql import load_sql
from stepforge.pipelines import stages
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Stage, tabulate_spent
from stepforge.pipelines.stages.measure.curves import count_classes, count_votes

FIRST_ERRORS_SQL = """
SELECT generator, "by", "group", judge_error, rollouts_error, count(*)::BIGINT AS n
FROM first_error JOIN (SELECT solution_id, generator FROM solutions) USING (solution_id)
JOIN grouping USING (problem_id)
WHERE judge_error IS NOT NULL AND rollouts_error IS NOT NULL
GROUP BY ALL
"""
ELSEWHERE_SQL = "DELETE FROM spent WHERE bucket_of(problem_id, $buckets) <> $bucket"
Rows = list[tuple[Any, ...]]


class Tally:
    """Rows of a statement whose last `values` columns are sums; the others are the key."""

    def __init__(self, values: int) -> None:
        self.values = values
        self._sums: dict[tuple[Any, ...], list[Any]] = {}

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to those of the same key. Of a null and a number the sum is the number."""
        for row in rows:
            key = tuple(map(_hashable, row[:-self.values]))
            known = self._sums.setdefault(key, [None] * self.values)
            for at, value in enumerate(row[-self.values:]):
                if value is not None:
                    known[at] = value + (known[at] or 0)

    def rows(self) -> Rows:
        return [(*key, *sums) for key, sums in self._sums.items()]


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


class Counted(NamedTuple):
    """The sums of a run, or of the buckets that were added."""

    totals: Tally
    spread: Tally
    votes: Tally
    shares: Tally
    means: Tally
    first_errors: Tally
    ledger: Tally

    @classmethod
    def none(cls) -> "Counted":
        return cls(Tally(1), Tally(3), Tally(1), Tally(2), Tally(6), Tally(1), Tally(6))

    def add(self, connection: duckdb.DuckDBPyConnection, ks: Sequence[int], spenders: Iterable[Stage], recipe: Recipe,
            bucket: int | None, buckets: int) -> None:
        """Count what the connection sees, which has `ranked` of ranks.sql; of spending that of the bucket's problems.
        """
        connection.execute(load_sql(stages.__name__, "samples"))
        connection.execute(load_sql(__package__, "groups"))
        connection.execute(load_sql(configs.__name__, "first_errors"))
        totals, spread = count_classes(connection, ks)
        self.totals.add(totals)
        self.spread.add(spread)
        self.votes.add(count_votes(connection))
        self.shares.add(connection.execute(load_sql(__package__, "shares")).fetchall())
        self.means.add(connection.execute(load_sql(__package__, "means")).fetchall())
        self.first_errors.add(connection.execute(FIRST_ERRORS_SQL).fetchall())
        tabulate_spent(connection, spenders, recipe)
        if bucket is not None:
            connection.execute(ELSEWHERE_SQL, {"bucket": bucket, "buckets": buckets})
        self.ledger.add(connection.execute(load_sql(__package__, "ledger")).fetchall())
