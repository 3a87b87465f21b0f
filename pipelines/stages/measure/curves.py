"""Measures of k samples: coverage@k, diversity@k by text and by equations, and maj@k.

In: a connection that sees `sample` (samples.sql) and `grouping` (groups.sql). Out: rows of `measures`. SQL counts
classes of equal samples bucket by bucket, which is the work; the chance that k of n samples meet a class is a fraction
of whole numbers (pipelines/statistics/subsets.py), so a mean over problems is exact. Intervals are over problems.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import comb
from typing import Any

import duckdb
import pyarrow as pa

from stepforge.builders.sql import load_sql
from stepforge.pipelines.statistics.intervals import NANO, Sums, mean_interval
from stepforge.pipelines.statistics.subsets import AnswerCount, hit, majority_at_k

CHANCE = pa.schema([("n", pa.int64()), ("members", pa.int64()), ("k", pa.int64()), ("nano", pa.int64())])
SHARES = ("coverage", "majority")  # values from 0 to 1
TOTALS_SQL = """
SELECT generator, "by", "group", measure, n, members, sum(classes)::BIGINT
FROM class JOIN grouping USING (problem_id) GROUP BY ALL
"""
VOTES_SQL = """
WITH vote AS (
    SELECT generator, problem_id, answer_key, count(*) AS size, count(*) FILTER (correct) AS correct
    FROM sample WHERE counts AND answer_key IS NOT NULL GROUP BY ALL
), profile AS (
    SELECT generator, problem_id, list((size, correct) ORDER BY size DESC, correct DESC) AS votes
    FROM vote GROUP BY ALL
)
SELECT generator, "by", "group", n, coalesce(votes, []) AS votes, count(*)
FROM problem LEFT JOIN profile USING (generator, problem_id) JOIN grouping USING (problem_id)
GROUP BY ALL
"""
Group = tuple[str, str, str, str]  # generator, by, group, measure


def curve_rows(totals: Iterable[tuple], spread: Iterable[tuple], ks: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of coverage and diversity for every group and every k up to its largest n, from sums of `count_classes`."""
    means = _means(totals, ks)
    sums = {(row[:4], row[4]): Sums(*row[5:]) for row in spread}
    return _rows({key: (means[key] / summed.n, summed) for key, summed in sums.items()})


def count_classes(connection: duckdb.DuckDBPyConnection, ks: Sequence[int]) -> tuple[list[tuple], list[tuple]]:
    """Numbers of classes, and the sums of spread.sql, by group."""
    connection.execute(load_sql(__package__, "classes"))
    pairs = connection.execute("SELECT DISTINCT n, members FROM class").fetchall()
    chances = [(n, members, k, round(hit(n, members, k) * NANO)) for n, members in pairs for k in ks if k <= n]
    connection.register("chance", pa.Table.from_pylist([dict(zip(CHANCE.names, row, strict=True)) for row in chances],
                                                       schema=CHANCE))
    totals = connection.execute(TOTALS_SQL).fetchall()
    spread = connection.execute(load_sql(__package__, "spread")).fetchall()
    connection.unregister("chance")
    return totals, spread


def count_votes(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    """Numbers of problems with the same votes, by group; after `count_classes`."""
    return connection.execute(VOTES_SQL).fetchall()


def _means(totals: Iterable[tuple], ks: Sequence[int]) -> dict[tuple[Group, int], Fraction]:
    """The exact sum over problems of the chance that k of n samples meet a class, over all classes."""
    missed: defaultdict[tuple[Group, int], defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for *group, n, members, classes in totals:
        for k in ks:
            if k <= n:
                missed[tuple(group), k][n] += classes * (comb(n, k) - comb(n - members, k))
    return {key: sum((Fraction(count, comb(n, key[1])) for n, count in of_n.items()), Fraction(0))
            for key, of_n in missed.items()}


def majority_rows(profiles: Iterable[tuple], ks: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of maj@k, from `count_votes`: problems with the same number of votes for each answer are counted once."""
    known: dict[tuple, dict[int, Fraction]] = {}
    values_at: defaultdict[tuple[Group, int], list[tuple[Fraction, int]]] = defaultdict(list)
    for generator, by, group, n, votes, problems in profiles:
        key = (n, tuple(map(tuple, votes)))
        if key not in known:
            known[key] = majority_at_k(n, [AnswerCount(*vote) for vote in votes], [k for k in ks if k <= n])
        for k, value in known[key].items():
            values_at[(generator, by, group, "majority"), k].append((value, problems))
    rows = {}
    for at, values in values_at.items():
        nano = [(round(value * NANO), problems) for value, problems in values]
        sums = Sums(sum(problems for _, problems in values), sum(value * problems for value, problems in nano),
                    sum(value * value * problems for value, problems in nano))
        rows[at] = (sum((value * problems for value, problems in values), Fraction(0)) / sums.n, sums)
    return _rows(rows)


def _rows(points: dict[tuple[Group, int], tuple[Fraction, Sums]]) -> list[dict[str, Any]]:
    """Rows of `measures`; every group has a row at k = 1, which all of its problems are in."""
    rows = []
    for (group, k), (value, sums) in sorted(points.items()):
        generator, by, name, measure = group
        mean, interval = float(value), mean_interval(sums, measure in SHARES)
        low, high = (min(interval[0], mean), max(interval[1], mean)) if interval else (None, None)  # sums are rounded
        rows.append({"generator": generator, "by": by, "group": name, "measure": measure, "k": k, "value": mean,
                     "low": low, "high": high, "interval": "problems", "n": sums.n,
                     "excluded": points[group, 1][1].n - sums.n})
    return rows
