"""The rows of `rl` under the nested names that verl reads.

Rows are numbered in the order of problems over the whole run, so buckets of problems give them other numbers.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from stepforge.builders.configs.base import MESSAGES, PROBLEM, TASKS, Config
from stepforge.builders.parquet import Finish
from stepforge.builders.sql import query_batches
from stepforge.builders.tables import INT, TEXT, column

if TYPE_CHECKING:
    import duckdb

_REWARD = pa.struct([("style", TEXT), ("ground_truth", TEXT)])
_EXTRA = pa.struct([("index", INT), ("split", TEXT)])
NUMBERS_SQL = """
SELECT row_number() OVER (ORDER BY place) - 1 AS number
FROM rl_verl LEFT JOIN (SELECT problem_id, file_row_number AS place FROM candidates) USING (problem_id)
ORDER BY rl_verl.file_row_number
"""


def _numbered(connection: "duckdb.DuckDBPyConnection") -> Finish:
    def in_order() -> Iterator[int]:  # asked when rows come: a connection has one reader at a time
        for batch in query_batches(connection, NUMBERS_SQL, {}):
            yield from batch["number"].to_pylist()

    numbers = in_order()

    def number(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("extra_info")
        splits = rows["extra_info"].combine_chunks().field("split")
        found = pa.array(islice(numbers, rows.num_rows), INT)
        extra = pa.StructArray.from_arrays([found, splits], fields=list(_EXTRA))
        return rows.set_column(at, rows.schema.field(at), extra)

    return number


CONFIG = Config(
    "rl_verl", 12, ("problem_id",), "the rows of `rl` under verl's names",
    (PROBLEM, column("data_source", TEXT, "Name of the source."),
     column("prompt", MESSAGES, "Message of the user."), column("ability", TEXT, "Always math."),
     column("reward_model", _REWARD, "Gold answer as `ground_truth`, with the style rule."),
     column("extra_info", _EXTRA, "Index of the row in the release, from 0, and its split.")),
    texts=("prompt",), asked=True, whole=_numbered, made_of=TASKS)
