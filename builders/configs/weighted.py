"""Annotated solutions with a weight for every step.

Weights have mean 1 over all steps of the run, so buckets of problems give them unscaled.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from stepforge.builders.configs.base import (
    ANNOTATED,
    CHECKED_BY,
    COMPLETE,
    COMPLETION,
    PROBLEM,
    PROMPT,
    SOLUTION,
    SOUNDNESS,
    Config,
    RowTest,
    optional,
)
from stepforge.builders.parquet import Finish
from stepforge.builders.sql import query_batches
from stepforge.builders.tables import INT, REAL, TEXT, column

if TYPE_CHECKING:
    import duckdb

WEIGHED = pa.schema([
    column("solution_id", TEXT, "Annotated solution."), column("step_index", INT, "Index of the step, from 0."),
    column("place", TEXT, "Place of the step in the solution."), optional("raw", REAL, "Weight before it is scaled."),
])
ORDERED_SQL = "SELECT place, raw FROM weighed WHERE raw IS NOT NULL ORDER BY solution_id, step_index"
BATCH = 100_000  # rows of two short columns


def settle_weights(connection: "duckdb.DuckDBPyConnection") -> dict[str, float]:
    """Set the variable `mean_weight` from `weighed` (weighed.sql); returns the share of weight by place of the step.

    Sums run in the order of solutions and steps: so all buckets together and one alone give the same digits.
    """
    steps, total, by_place = 0, 0.0, defaultdict[str, float](float)
    for batch in query_batches(connection, ORDERED_SQL, {}, BATCH):
        steps, total = steps + batch.num_rows, _added(total, batch["raw"])
        for place in pc.unique(batch["place"]).to_pylist():
            by_place[place] = _added(by_place[place], batch.filter(pc.equal(batch["place"], place))["raw"])
    connection.execute("SET VARIABLE mean_weight = $mean", {"mean": total / steps if steps else None})
    return {place: by_place[place] / total for place in sorted(by_place)}


def _added(total: float, values: pa.Array) -> float:
    """The sum of one number after another, as DuckDB's ordered aggregates have it; pyarrow's `sum` adds pairs."""
    return float(pc.cumulative_sum(values, start=total)[-1].as_py()) if len(values) else total


def _scaled(connection: "duckdb.DuckDBPyConnection") -> Finish:
    mean = pa.scalar(connection.execute("SELECT getvariable('mean_weight')").fetchall()[0][0], REAL)

    def scale(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("weights")
        raw = rows["weights"].combine_chunks()
        scaled = pa.ListArray.from_arrays(raw.offsets, pc.divide(raw.values, mean), type=raw.type)
        return rows.set_column(at, rows.schema.field(at), scaled)

    return scale


CONFIG = Config(
    "weighted", 6, ("solution_id",), "solutions with a weight for every step; advantage-weighted regression",
    (PROBLEM, SOLUTION, PROMPT, COMPLETION, COMPLETE,
     column("ends", pa.list_(INT), "Character offsets in the completion at which its steps end."),
     column("weights", pa.list_(REAL), "Weight per step: min(exp(advantage / beta), w_max), scaled to mean 1; null if "
                                       "unknown, and then the step is masked in training."), SOUNDNESS, CHECKED_BY),
    solutions={"solution_id": "any"}, texts=("prompt", "completion"), annotated=True,
    tests=(RowTest("the steps do not end where the completion ends, or have no weight each", ("weighted.weights",),
                   "SELECT 'weighted', solution_id FROM weighted WHERE len(ends) <> len(weights) "
                   "OR list_last(ends) <> length(completion)"),),
    whole=_scaled, made_of=ANNOTATED)
