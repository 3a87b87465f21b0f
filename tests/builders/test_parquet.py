"""Tables are written whole or not at all."""

import pyarrow as pa
import pytest

from stepforge.builders.parquet import count_rows, read_rows, write_rows
from stepforge.builders.sql import open_duckdb, query_rows, query_to_parquet

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])


def rows(count):
    return [{"n": i, "text": f"row {i}"} for i in range(count)]


def test_rows_come_back_in_order(tmp_path):
    assert write_rows(tmp_path / "t.parquet", iter(rows(5001)), SCHEMA) == 5001
    assert list(read_rows(tmp_path / "t.parquet")) == rows(5001)


def test_failing_writer_leaves_the_old_table(tmp_path):
    path = tmp_path / "t.parquet"
    write_rows(path, rows(3), SCHEMA)

    def breaks():
        yield from rows(10)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_rows(path, breaks(), SCHEMA)
    assert count_rows(path) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_row_that_does_not_fit_names_the_table_and_not_its_text(tmp_path):
    with pytest.raises(ValueError, match="t.parquet"):
        write_rows(tmp_path / "t.parquet", [{"n": "secret text", "text": None}], SCHEMA)


def test_misspelt_column_is_an_error_not_a_null(tmp_path):
    with pytest.raises(ValueError, match="t.parquet .*: txt"):
        write_rows(tmp_path / "t.parquet", [{"n": 1, "txt": "a"}], SCHEMA)


def test_query_with_a_null_where_none_is_allowed_is_an_error(tmp_path):
    null = pytest.raises(ValueError, match="null in column 'n'")
    with open_duckdb("256MiB", tmp_path / "spill") as connection, null:
        query_to_parquet(connection, "SELECT NULL::BIGINT AS n, 'x' AS text", {}, tmp_path / "q.parquet", SCHEMA)


def test_text_reaches_sql_as_a_value(tmp_path):
    hostile = "'; DROP TABLE t; --"
    write_rows(tmp_path / "t.parquet", [{"n": 1, "text": hostile}], SCHEMA)
    with open_duckdb("256MiB", tmp_path / "spill", {"t": tmp_path / "t.parquet"}) as connection:
        matches = list(query_rows(connection, "SELECT n FROM t WHERE text = $text", {"text": hostile}))
    assert matches == [{"n": 1}]
