"""DuckDB over our tables: bounded in memory, values never formatted into statements.

In: a statement from a `.sql` file, parameters by name, Parquet tables by name. Out: rows, or a Parquet table with the
exact schema of builders/tables.py.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from stepforge.builders.files import replacing
from stepforge.builders.outcomes import UNANSWERED
from stepforge.builders.parquet import BATCH_ROWS, open_writer, parts_of

if TYPE_CHECKING:
    import duckdb  # slow to import, and many commands read no table

_IS_OUTCOME = f"""CREATE TEMP MACRO is_outcome(verdict, reason) AS
    verdict <> 'undecided' OR coalesce(reason IN {UNANSWERED}, false)"""
_BUCKET_OF = "CREATE TEMP MACRO bucket_of(problem_id, buckets) AS ('0x' || substr(problem_id, 1, 8))::BIGINT % buckets"

STRANGERS_SECONDS = 60.0
PART_BITS = 28  # a part has fewer than 2^28 rows


@contextmanager
def open_duckdb(memory: str, scratch: Path, tables: Mapping[str, Path] | None = None, threads: int = 2,
                bucket: int | None = None) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection that keeps to `memory` (such as "2GiB"), spills to `scratch` and sees `tables` as views.

    Tables that lie in parts are seen whole, or one `bucket` of them. Beside its columns a view has `file_row_number`,
    which orders the rows of the table: the row's position from 0, in parts with gaps between them.
    `is_outcome(verdict, reason)` is true of a verdict that counts: a solution without an answer has failed, a time-out
    says nothing of it. `bucket_of(problem_id, buckets)` is the bucket of a problem, or its rank among ranks, as
    pipelines' `shard_of` is.
    """
    import duckdb

    scratch.mkdir(parents=True, exist_ok=True)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory, "temp_directory": str(scratch), "threads": threads,
        "preserve_insertion_order": False, "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=settings) as connection:
        if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() != (False,):
            # It would print for as long as a reader is open. A notebook without ipywidgets refuses even this setting.
            connection.execute("SET enable_progress_bar = false")
        connection.execute(_IS_OUTCOME)
        connection.execute(_BUCKET_OF)
        for name, path in (tables or {}).items():
            _see(connection, name, [str(part) for part in parts_of(path, bucket)])
        yield connection


def _see(connection: "duckdb.DuckDBPyConnection", name: str, files: Sequence[str]) -> None:
    """Make a view of files that hold one table."""
    rows = connection.from_parquet(list(files), file_row_number=True)
    if len(files) > 1:
        rows = rows.project(f"* REPLACE ((file_index::BIGINT << {PART_BITS}) + file_row_number AS file_row_number)")
    rows.create_view(name)


@contextmanager
def bounded_duckdb(stored: int) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection for files that anybody may have made: it stops when they ask for more time, memory or disk.

    A query that exceeds a limit raises duckdb.Error. Our statements over a release take time linear in its rows.

    Args:
        stored: bytes of the files; the time for all statements is a minute, and a second for every MB.
    """
    with tempfile.TemporaryDirectory() as scratch, open_duckdb("512MiB", Path(scratch)) as connection:
        connection.execute("SET max_temp_directory_size = '32GiB'")
        timer = threading.Timer(STRANGERS_SECONDS + stored / 1e6, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
            timer.join()  # else it may speak to a connection that is closed


def load_sql(package: str, name: str) -> str:
    """Text of the statement `name`.sql that lies beside the code of `package`."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def query_rows(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, object] | None = None
               ) -> Iterator[dict]:
    """Rows of a query as dicts, a batch in memory at a time."""
    for batch in query_batches(connection, sql, parameters or {}):
        yield from batch.to_pylist()


def query_to_parquet(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, object],
                     path: Path, schema: pa.Schema, batch_rows: int = BATCH_ROWS) -> int:
    """Stream a query into a Parquet file and return its number of rows; as `queries_to_parquet` of one set."""
    return queries_to_parquet(connection, sql, [parameters], path, schema, batch_rows)


def queries_to_parquet(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Sequence[Mapping[str, object]],
                       path: Path, schema: pa.Schema, batch_rows: int = BATCH_ROWS) -> int:
    """Stream a query into a Parquet file for one set of parameters after another, and return the number of rows.

    Columns are matched by name. A null in a column that must not have one is an error. `batch_rows` are in memory at a
    time: more of them where rows hold no texts.

    Raises:
        ValueError: the result lacks a column of the schema, or holds a null where none is allowed.
    """
    count = 0
    with replacing(path) as temporary, open_writer(temporary, schema) as writer:
        for batch in chain.from_iterable(query_batches(connection, sql, given, batch_rows) for given in parameters):
            if missing := set(schema.names) - set(batch.schema.names):
                raise ValueError(f"{path.name}: the query gives no column {sorted(missing)}")
            table = pa.Table.from_batches([batch]).select(schema.names)
            for field in schema:
                if not field.nullable and table[field.name].null_count:
                    raise ValueError(f"{path.name}: null in column {field.name!r}")
            writer.write_table(table.cast(schema), row_group_size=batch_rows)
            count += batch.num_rows
    return count


def query_batches(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, object],
                  batch_rows: int = BATCH_ROWS) -> pa.RecordBatchReader:
    """Rows of a query as Arrow batches, one in memory at a time."""
    reader: pa.RecordBatchReader = connection.sql(sql, params=dict(parameters)).to_arrow_reader(batch_rows)
    return reader
