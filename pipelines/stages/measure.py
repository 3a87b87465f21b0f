"""Measure: coverage@k, diversity@k and the like, for every generator, with 95% intervals over problems.

In: `solutions`, `verdicts`, `judgements`, and what people said of a sample (people.py). Out: `measures`. The formulas
(unbiased; Chen et al., arXiv 2107.03374, section 2.1, for coverage) stand in measure.sql.
"""

from typing import Any

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import DROPS, MEASURES
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import people
from stepforge.pipelines.stages.base import Account, Context, Stage

INPUTS = ("solutions", "verdicts", "judgements")
MOST_SQL = """
SELECT coalesce(max(n), 0)::BIGINT AS most
FROM (SELECT count(*) AS n FROM solutions GROUP BY generator, problem_id)
"""


def settings(recipe: Recipe) -> Any:
    return None


def ladder(most: int) -> list[int]:
    """The k that are measured: powers of two up to `most`, 10, 30 and 100 where they fit, and `most` itself."""
    powers = [2**i for i in range(most.bit_length())]
    return sorted({k for k in [*powers, 10, 30, 100, most] if 1 <= k <= most})


def run(context: Context) -> Account:
    with context.tell(context.work, "measure", 0), context.duckdb(*INPUTS) as connection:
        ks = ladder(next(query_rows(connection, MOST_SQL))["most"])
        rows = list(query_rows(connection, load_sql(__package__, "measure"), {"ks": ks}))
        rows += people.measures(people.read_opinions(context.folder, connection))
        written = write_rows(context.table("measures"), rows, MEASURES.schema)
    write_rows(context.drops("measure"), [], DROPS.schema)
    return Account(written, written)


STAGE = Stage("measure", 3, ("generate", "verify", "judge"), settings, run, ("measures",),
              people.audit_hashes)
