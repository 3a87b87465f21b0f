"""The splits that an earlier version gave its problems, so that a new version can keep them.

In: the address of a version, `hub:ORG/NAME@1.0.0` or `local:PATH@1.0.0`. Out: a Parquet table (problem_id,
problem, split); the text is there because a corrected gold gives a problem another id, null where no config has it. A
group of near-duplicate problems may change its name when problems join it, and its split is drawn by its name: without
this table a problem on which people evaluate may come to train.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from stepforge.builders.manifest import SPLITS, ReleaseError
from stepforge.builders.sql import bounded_duckdb, query_to_parquet
from stepforge.builders.tables import TEXT
from stepforge.builders.terminal import in_line
from stepforge.cards.address import read_version_address
from stepforge.cards.versions import find_version

KEPT = pa.schema([pa.field("problem_id", TEXT, nullable=False), pa.field("problem", TEXT),
                  pa.field("split", TEXT, nullable=False)])
# Of a problem in two splits, which `stepforge check` would report, the stricter one counts.
KEPT_SQL = f"""SELECT problem_id, any_value(problem) AS problem, list_extract({list(SPLITS)}, max(rank)) AS split
FROM kept GROUP BY problem_id ORDER BY problem_id"""


def write_kept_splits(address: str, path: Path) -> int:
    """Write the split of every problem that a version names in any config; returns the number of problems.

    Raises:
        PublishError: there is no such version.
        ReleaseError: its files are not what its manifest says, or no config names problems.
    """
    release = find_version(*read_version_address(address))
    configs = [name for name, facts in release.manifest["configs"].items()
               if facts["columns"].get("problem_id") == "string"]
    if not configs:
        raise ReleaseError(f"{address} names no problems in any config, so there are no splits to keep")
    text = "problem" if "problem" in release.manifest["configs"].get("problems", {}).get("columns", ()) else "NULL"
    by_split: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for name in ["problems"] if "problems" in configs else configs:
        for shard in release.shards(release.files(name), name):
            by_split[shard.name.partition("-")[0]].append(shard)
    stored = sum(shard.stat().st_size for shards in by_split.values() for shard in shards)
    with bounded_duckdb(stored) as connection:
        named = [connection.from_parquet([str(shard) for shard in shards]).project(
                 f"problem_id, {text}::VARCHAR AS problem, {rank} AS rank")
                 for rank, shards in enumerate(by_split.values(), start=1) if shards]
        rows = named[0]
        for more in named[1:]:
            rows = rows.union(more)
        rows.create_view("kept")
        try:
            return query_to_parquet(connection, KEPT_SQL, {}, path, KEPT)
        except duckdb.Error as error:
            raise ReleaseError(f"the problems of {address} cannot be read: {in_line(error)}; inspect it with "
                               "`stepforge check`") from error
