"""Each rank reads its own rows, all of them, in order, and little beside them."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.builders.tables import content_id
from stepforge.pipelines.run_folder import shares_path
from stepforge.pipelines.stages.shares import Query, ShareReader, write_shares

SQL = "SELECT problem_id, text, nested, file_row_number, file_row_number AS position FROM made WHERE number >= $least"
ROWS = 40_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    draw = random.Random(0)
    ids = [content_id("problem", number // 4) for number in range(ROWS)]
    table = pa.table({"problem_id": ids, "text": [draw.randbytes(300).hex() for _ in ids], "number": range(ROWS),
                      "nested": [[{"a": number, "b": None}] for number in range(ROWS)]})
    pq.write_table(table, folder / "made.parquet")
    return folder / "made.parquet"


def read_bytes():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks_read_every_row_once_in_order_whatever_its_type(made, tmp_path, ranks):
    write_shares(Query(SQL, {"made": made}, {"least": 7}), "256MiB", tmp_path, ranks, ROWS)
    seen = []
    for rank in range(ranks):
        rows = [document.metadata for document in ShareReader(tmp_path, "256MiB").run(None, rank, ranks)]
        assert {int(row["problem_id"][:8], 16) % ranks for row in rows} == {rank}
        assert [row["position"] for row in rows] == sorted(row["position"] for row in rows)
        assert rows[0].keys() == {"problem_id", "text", "nested", "file_row_number", "position"}
        seen += rows
    assert sorted(row["position"] for row in seen) == list(range(7, ROWS))
    assert all(row["nested"] == [{"a": row["position"], "b": None}] for row in seen[:100])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="this system does not count the bytes a process reads")
def test_a_rank_reads_little_more_than_its_share(made, tmp_path):
    ranks = 4
    write_shares(Query(SQL, {"made": made}, {"least": 0}), "256MiB", tmp_path, ranks, ROWS)
    for rank in range(ranks):
        before = read_bytes()
        assert sum(1 for _ in ShareReader(tmp_path, "256MiB").run(None, rank, ranks)) > ROWS / ranks / 1.2
        assert read_bytes() - before < 1.3 * shares_path(tmp_path).stat().st_size / ranks
