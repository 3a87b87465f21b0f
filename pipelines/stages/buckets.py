"""Tables in parts, one for each bucket of problem ids, so that a rank of a large run reads its own problems alone.

In: a table as one file, or in another number of buckets. Out: the folder `tables/NAME` with parts
`part-BUCKET-of-BUCKETS-NUMBER.parquet`, or one file where the recipe asks for one bucket. A problem's bucket is a hash
of its problem_id, so all tables agree on it. The new files are whole before they replace the old ones, and a folder of
parts stands before a file: a run that is killed here finds the one or the other.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from stepforge.builders.errors import StageFailed
from stepforge.builders.files import replacing
from stepforge.builders.parquet import BATCH_ROWS, buckets_of, count_rows, open_writer, part_name
from stepforge.builders.sql import open_duckdb, query_batches
from stepforge.builders.tables import BUCKETED, TABLES
from stepforge.pipelines.run_folder import table_file_path, table_parts_path, table_path

DIVIDED_SQL = """
SELECT moved.*, bucket_of(problem_id, $buckets) AS bucket FROM moved
ORDER BY bucket, moved.file_row_number
"""
# Rows of several buckets come together in the order of problems: where a row stood among all rows is not known.
MERGED_SQL = """
SELECT moved.*, bucket_of(problem_id, $buckets) AS bucket
FROM moved LEFT JOIN (SELECT problem_id, file_row_number AS place FROM candidates) USING (problem_id)
ORDER BY bucket, place, moved.file_row_number
"""
OWNED_SQL = """(
    SELECT tabled.*, problem_id FROM tabled JOIN (SELECT solution_id, problem_id FROM solutions) USING (solution_id)
)"""


def install(home: Path, parts: Iterable[tuple[Path, str]]) -> None:
    """Let files of one disk be the parts of the table in the folder `home`, under new names; they stay as well."""
    made = home.with_name(f".{home.name}.made")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for path, part in parts:
        try:
            os.link(path, made / part)
        except OSError:  # a disk without links
            shutil.copyfile(path, made / part)
    _retire(home)
    os.replace(made, home)
    home.with_suffix(".parquet").unlink(missing_ok=True)


def _retire(home: Path) -> None:
    """Remove a table's folder of parts, all of it at once for whoever reads."""
    aside = home.with_name(f".{home.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if home.exists():
        os.replace(home, aside)
        shutil.rmtree(aside, ignore_errors=True)


def write_parts(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object],
                paths: Sequence[Path], schema: pa.Schema) -> int:
    """Write the rows of a query that is ordered by its column `bucket`, each bucket to its path; returns their number.

    Memory holds one batch of rows. A bucket without rows gets a file without rows.
    """
    written, bucket = 0, -1
    with ExitStack() as files:
        writer = None
        for batch in query_batches(connection, sql, parameters, BATCH_ROWS):
            table = pa.Table.from_batches([batch])
            for number in sorted(set(table["bucket"].to_pylist())):
                while bucket < number:
                    files.close()
                    bucket += 1
                    writer = files.enter_context(open_writer(files.enter_context(replacing(paths[bucket])), schema))
                rows = table.filter(pc.equal(table["bucket"], number)).select(schema.names).cast(schema)
                assert writer is not None
                writer.write_table(rows)
                written += rows.num_rows
    for path in paths[bucket + 1:]:
        with replacing(path) as temporary, open_writer(temporary, schema):
            pass
    return written


def settle(run: Path, names: Iterable[str], buckets: int, memory: str, work: Path) -> Iterator[str]:
    """Bring those of the named tables into `buckets` that lie in another number; names each before it begins.

    Raises:
        StageFailed: rows were lost.
    """
    for name in names:
        path = table_path(run, name)
        if name not in BUCKETED or not path.exists() or buckets_of(path) == buckets:
            continue
        if rows := count_rows(path):
            yield name
            if (moved := _move(run, name, buckets, memory, work)) != rows:
                raise StageFailed(f"{name}: {rows} rows, but {moved} of them have a bucket. Run its stage again: "
                                  f"delete {path}")


def _move(run: Path, name: str, buckets: int, memory: str, work: Path) -> int:
    """Write a table anew in another number of buckets; returns its rows. The old one stays where rows are lost."""
    schema, path = TABLES[name].schema, table_path(run, name)
    rows = count_rows(path)
    tables = {"tabled": path, "solutions": table_path(run, "solutions"), "candidates": table_path(run, "candidates")}
    seen = {key: table for key, table in tables.items() if table.exists()}
    source = "tabled" if "problem_id" in schema.names else OWNED_SQL
    sql = DIVIDED_SQL if buckets_of(path) == 1 else MERGED_SQL
    folder = work / f"divided-{name}"
    paths = [folder / f"{bucket:05d}.parquet" for bucket in range(buckets)]
    with open_duckdb(memory, work / "spill", seen) as connection:
        moved = write_parts(connection, f"WITH moved AS (FROM {source}) {sql}", {"buckets": buckets}, paths, schema)
    if moved == rows and buckets > 1:
        install(table_parts_path(run, name), ((part, part_name(bucket, buckets)) for bucket, part in enumerate(paths)))
    elif moved == rows:
        os.replace(paths[0], table_file_path(run, name))
        _retire(table_parts_path(run, name))
    shutil.rmtree(folder, ignore_errors=True)
    return moved
