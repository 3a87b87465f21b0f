"""What ranks wrote in any order, however many they were, is one table in the order of its documents."""

import random
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.builders import gather as gather_module
from stepforge.builders.gather import gather
from stepforge.builders.parquet import read_rows
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import DROPS, REAL, TEXT, VERDICTS, Table, column
from stepforge.pipelines.inference import output as output_module
from stepforge.pipelines.inference.output import TableOutput, parts_path

NOTES = Table("notes", ("key",), pa.schema([
    column("key", TEXT, "Key."), column("text", TEXT, "Text.", nullable=True),
    column("lists", pa.list_(pa.int32()), "Numbers.", nullable=True), column("real", REAL, "Real.", nullable=True)]))

GATHER = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from stepforge.builders.sql import open_duckdb
from stepforge.builders.gather import gather

folder = Path(sys.argv[1])
schema = pa.schema([("key", pa.string()), ("text", pa.string())])
with open_duckdb("256MiB", folder / "spill") as connection:
    gather(connection, sorted(folder.rglob("*.parquet")), ("key",), folder / "notes", schema, 64 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def document(position: int) -> list[dict]:
    """Some rows of a document, of all types, with nulls and none at all."""
    draw = random.Random(position)
    return [{"key": f"{draw.randrange(99):02d}-{index}", "text": draw.choice([None, "", "ü" * draw.randrange(200)]),
             "lists": draw.choice([None, [], [1, 2]]), "real": draw.choice([None, 0.1, 3])}
            for index in range(draw.randrange(4))]


def write(folder, ranks: int, positions) -> list[dict]:
    """Parts of all ranks, each in an order of its own; returns the rows as the table should have them."""
    rows = []
    for rank in range(ranks):
        own = [position for position in positions if hash((position, 7)) % ranks == rank]
        random.Random(rank).shuffle(own)
        with TableOutput(folder, (NOTES,)) as output:
            output.open(rank)
            for position in own:
                output.write_tables({"notes": document(position)}, rank, position)
    for position in sorted(positions):
        rows += sorted(document(position), key=lambda row: row["key"])
    return rows


def gathered(folder, memory: int) -> list[dict]:
    parts = sorted(parts_path(folder, "notes").glob("*.parquet"))
    with open_duckdb("256MiB", folder / "spill") as connection:
        count = gather(connection, parts, ("key",), folder / "notes.parquet", NOTES.schema, memory)
    rows = list(read_rows(folder / "notes.parquet"))
    assert count == len(rows)
    return rows


@pytest.mark.parametrize("memory", [2**40, 200_000, 1])
@pytest.mark.parametrize("ranks", [1, 5])
def test_table_is_the_same_for_any_ranks_and_any_memory(tmp_path, monkeypatch, ranks, memory):
    monkeypatch.setattr(output_module, "BATCH_ROWS", 50)
    asked = []
    monkeypatch.setattr(gather_module, "_windows", lambda connection, count, made=gather_module._windows: asked.append(
        made(connection, min(count, 500))) or asked[-1])
    expected = write(tmp_path, ranks, [*range(300), *range(10_000, 10_500)])
    assert gathered(tmp_path, memory) == expected
    assert (len(asked[0]) == 1) == (memory == 2**40), "little memory, more windows"


def test_nothing_and_one_position_for_all_are_tables_too(tmp_path):
    write(tmp_path / "none", 3, [])
    assert gathered(tmp_path / "none", 1000) == []
    with TableOutput(tmp_path / "one", (NOTES,)) as output:
        for number in range(5000):
            output.write_tables({"notes": [{"key": f"{number:05d}"}]}, 0, 0)
    assert [row["key"] for row in gathered(tmp_path / "one", 1000)] == [f"{number:05d}" for number in range(5000)]


def test_a_rank_that_was_cut_off_leaves_no_part(tmp_path):
    with pytest.raises(KeyError), TableOutput(tmp_path, (DROPS, VERDICTS)) as output:
        output.write_tables({"drops": [{"stage": "s", "row_id": "r", "reason": "e", "detail": ""}]}, 0, 0)
        raise KeyError
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "progress"]
    with TableOutput(tmp_path, (DROPS, VERDICTS)) as output:
        output.open(0)
    assert [pq.read_metadata(path).num_rows for path in sorted(tmp_path.rglob("*.parquet"))] == [0, 0]


@pytest.mark.parametrize(("row", "says"), [
    ({"key": 5}, "column 'key'"), ({"text": "no key"}, "null in column 'key'"), ({"key": "k", "reals": 1}, "reals"),
    ({"key": "k", "lists": [2**31]}, "column 'lists'")])
def test_row_that_does_not_fit_stops_the_rank_and_leaves_no_part(tmp_path, row, says):
    with pytest.raises(ValueError, match=says), TableOutput(tmp_path, (NOTES,)) as output:
        output.write_tables({"notes": [{"key": "secret text"}, row]}, 0, 0)
    assert not list(parts_path(tmp_path, "notes").glob("*"))


def test_number_that_is_not_finite_is_null(tmp_path):
    with TableOutput(tmp_path, (NOTES,)) as output:
        output.write_tables({"notes": [{"key": f"{number}", "real": number} for number in
                                       (float("nan"), float("inf"), -float("inf"), 2.5)]}, 0, 0)
    assert [row["real"] for row in gathered(tmp_path, 2**30)] == [None, 2.5, None, None]


def test_long_solutions_do_not_fill_the_memory_of_a_rank(tmp_path, monkeypatch):
    monkeypatch.setattr(output_module, "GROUP_CHARACTERS", 10_000)
    with TableOutput(tmp_path, (NOTES,)) as output:
        for number in range(20):
            output.write_tables({"notes": [{"key": str(number), "text": "x" * 4000}]}, 0, number)
    footer = pq.read_metadata(parts_path(tmp_path, "notes") / "00000.parquet")
    assert {footer.row_group(group).num_rows for group in range(footer.num_row_groups)} <= {2, 3}


def test_duckdb_cuts_positions_into_windows_of_about_equal_rows(tmp_path):
    write(tmp_path, 3, range(0, 4000, 2))
    with duckdb.connect() as connection:
        connection.read_parquet(str(parts_path(tmp_path, "notes") / "*.parquet")).create_view("parts")
        windows = gather_module._windows(connection, 8)
        counts = [connection.execute("SELECT count(*) FROM parts WHERE position >= ? AND position < ?", window)
                  .fetchone()[0] for window in windows]
    assert len(counts) == 8 and max(counts) < 2 * min(counts)


def test_peak_memory_does_not_grow_with_the_table(tmp_path):
    """A process gathers 32 times as much text; both peaks stay within the bound."""
    peaks = []
    for rows in (2_000, 64_000):
        folder = tmp_path / str(rows)
        draw = random.Random(0)
        with TableOutput(folder, (NOTES,)) as output:
            for number in range(rows):
                output.write_tables({"notes": [{"key": str(number), "text": draw.randbytes(1000).hex()}]}, 0, number)
        peaks.append(int(subprocess.run([sys.executable, "-c", GATHER, str(folder)], check=True, capture_output=True,
                                        text=True).stdout))
    assert peaks[1] - peaks[0] < 100 * 2**10, f"KiB of {peaks}; the larger table has 130 MB of text"


@pytest.mark.parametrize(("held", "spilled"), [(8, False), (10_000, True), (10**12, True)])
def test_rows_of_a_bucket_are_in_order_whether_memory_holds_them_or_not(monkeypatch, tmp_path, held, spilled):
    monkeypatch.setattr(output_module, "BATCH_ROWS", 50)
    monkeypatch.setattr(output_module, "HELD", held)
    by_duckdb = []
    monkeypatch.setattr(output_module, "gather", lambda *given: by_duckdb.append(given[3]) or gather(*given))
    positions = random.Random(1).sample(range(1000), 300)
    with TableOutput(tmp_path, (NOTES._replace(order=("key",), bucketed=True),), 2, "256MiB") as output:
        output.open(0)
        for position in positions:
            size = len(positions) if position == positions[-1] else None
            output.write_tables({"notes": document(position)}, 0, position, bucket=1, bucket_size=size)
    expected = [row for position in sorted(positions)
                for row in sorted(document(position), key=lambda row: row["key"])]
    parts = sorted(parts_path(tmp_path, "notes").iterdir())
    assert [list(read_rows(part)) for part in parts] == [[], expected]
    assert [path.name for path in by_duckdb] == (["00001.parquet"] if spilled else []) + (
        ["00000.parquet"] if held > 10_000 else [])
    assert not list((tmp_path / "unsorted").rglob("*.parquet"))
