"""The parts that ranks wrote become one table in the order of its documents.

In: Parquet parts whose rows have a `position`. Out: one Parquet table. The positions are cut into windows of about
equal numbers of rows, so small that DuckDB orders each in memory. It reads of every part the row groups that a window
touches; no step handles the whole table at once, so memory and time per row stay the same however large it is.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.builders.files import replacing
from stepforge.builders.parquet import BATCH_ROWS, open_writer
from stepforge.builders.sql import queries_to_parquet, query_rows

SPARE = 8  # memory over the bytes of a window, uncompressed: ordering takes some, and so do row groups that are cut
CUTS_SQL = "SELECT min(position) AS first, max(position) AS last, approx_quantile(position, {}) AS cuts FROM parts"


def gather(connection: duckdb.DuckDBPyConnection, parts: Sequence[Path], order: Sequence[str], path: Path,
           schema: pa.Schema, memory: int) -> int:
    """Write the rows of all parts to `path` by `position` and then by `order`; returns their number.

    Args:
        memory: bytes that DuckDB may use.
    """
    connection.read_parquet([str(part) for part in parts]).create_view("parts")
    size = sum(_size(part) for part in parts)
    windows = _windows(connection, math.ceil(SPARE * size / memory))
    sql = f"SELECT * FROM parts WHERE position >= $first AND position < $last {order_by(order)}"
    return queries_to_parquet(connection, sql, [{"first": first, "last": last} for first, last in windows], path,
                              schema)


def write_in_order(rows: pa.Table, order: Sequence[str], path: Path, schema: pa.Schema) -> None:
    """Write rows that are in memory as `gather` writes those of parts."""
    ordered = rows.sort_by([(name, "ascending") for name in ("position", *order)])
    with replacing(path) as temporary, open_writer(temporary, schema) as writer:
        writer.write_table(ordered.select(schema.names).cast(schema), row_group_size=BATCH_ROWS)


def order_by(columns: Sequence[str]) -> str:
    """The clause that puts rows in the order of their documents and then of some columns."""
    return "ORDER BY " + ", ".join(f'"{name}"' for name in ("position", *columns))


def _size(part: Path) -> int:
    """Bytes of its columns, uncompressed."""
    footer = pq.read_metadata(part)
    return sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))


def _windows(connection: duckdb.DuckDBPyConnection, count: int) -> list[tuple[int, int]]:
    """At most `count` ranges of positions, each from its first to before its last, which hold every row once."""
    fractions = [cut / count for cut in range(1, count)]
    row = next(query_rows(connection, CUTS_SQL.format(fractions or [0.5])))
    if row["first"] is None:
        return []
    inner = {cut for cut in row["cuts"] if row["first"] < cut <= row["last"]} if fractions else set()
    return list(pairwise(sorted({row["first"], row["last"] + 1} | inner)))
