"""Versions of a dataset: which there are, what changed between two, and which number a change demands.

In go targets (`hub:ORG/NAME`, `local:PATH`) or release folders; out comes plain data, with a function beside each that
draws it as a table. Rows are compared in DuckDB: matched by the ids of their config, equal when a hash of all columns
that both versions have is equal. Names of columns come from files of others: they enter as expressions, not as SQL.
"""

from functools import reduce
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb
from duckdb import ColumnExpression, ConstantExpression, FunctionExpression
from rich.table import Table

from stepforge.builders.configs import CONFIGS
from stepforge.builders.manifest import MANIFEST, SPLITS, ManifestError, ReleaseError, parse_manifest
from stepforge.builders.sql import bounded_duckdb
from stepforge.builders.terminal import cell, in_line
from stepforge.cards.address import PublishError
from stepforge.cards.failures import Absent
from stepforge.cards.semver import Version, VersionError, parse_version
from stepforge.cards.stored import Stored, read_version, stored_in
from stepforge.cards.targets import Target, open_target

# An older release may hold a key twice, so rows are counted per key.
_COMPARE = """
WITH before AS (SELECT key, content, count(*) AS n FROM old_rows GROUP BY ALL),
     after AS (SELECT key, content, count(*) AS n FROM new_rows GROUP BY ALL),
     contents AS (SELECT key, coalesce(before.n, 0) AS old, coalesce(after.n, 0) AS new, least(old, new) AS same
                  FROM before FULL JOIN after USING (key, content)),
     keys AS (SELECT key, sum(old) AS old, sum(new) AS new, sum(same) AS same FROM contents GROUP BY key)
SELECT sum(greatest(new - old, 0))::BIGINT AS added, sum(greatest(old - new, 0))::BIGINT AS removed,
       sum(least(old, new) - same)::BIGINT AS changed
FROM keys
"""


class Published(NamedTuple):
    """One version at a target; `fault` says why its manifest cannot be used, and then nothing else is known of it."""

    version: Version
    commit: str
    rows: dict[str, int]
    parent: str | None
    fault: str | None = None


class ConfigChange(NamedTuple):
    """What changed in one config: rows by id, and the schema in words."""

    added: int
    removed: int
    changed: int
    new_columns: list[str]
    lost_columns: list[str]
    retyped_columns: list[str]
    whole: Literal["", "new config", "config removed"] = ""

    @property
    def words(self) -> str:
        """What changed beside the counts of rows."""
        if self.whole:
            return self.whole
        parts = [("new", self.new_columns), ("lost", self.lost_columns), ("other type", self.retyped_columns)]
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names) or "same"


class Diff(NamedTuple):
    """What changed from one version to the next."""

    configs: dict[str, ConfigChange]
    new_configs: list[str]
    lost_configs: list[str]
    measures: list[tuple[str, str, int | None, float | None, float | None]]
    into_train: int = 0     # problems that were held out (test or validation) and are in train now

    @property
    def leak(self) -> str | None:
        """What to say of problems that moved into train; null where none did."""
        if not self.into_train:
            return None
        whose, stand = ("1 problem", "is") if self.into_train == 1 else (f"{self.into_train:,} problems", "are")
        return (f"{whose} of test or validation in the older version {stand} in train in the newer one; do not "
                "evaluate a model that trains on the newer version on the older one's held-out rows, or build it "
                "again with `release.keep_splits`")

    @property
    def kind(self) -> str | None:
        """major, minor or patch by the semantic rule; None where the data are the same."""
        changes = self.configs.values()
        if self.lost_configs or any(change.lost_columns or change.retyped_columns for change in changes):
            return "major"
        if self.new_configs or any(change.added or change.new_columns for change in changes):
            return "minor"
        return "patch" if any(change.removed or change.changed for change in changes) else None

    def summary(self) -> dict[str, dict]:
        """The form that the manifest and the card keep; configs without a change are left out."""
        return {name: {"added": change.added, "removed": change.removed, "changed": change.changed,
                       "columns": change.words}
                for name, change in self.configs.items() if any(change)}


def versions(to: str) -> list[Published]:
    """The versions at a target, oldest first, with the rows of each config.

    Raises:
        PublishError: there is no such target, or no version in it.
    """
    target = open_target(to)
    published: list[Published] = []
    for version, commit in sorted(_known(target).items()):
        try:
            manifest = parse_manifest(target.read(commit, MANIFEST) or b"{}", f"v{version}")
        except ManifestError as error:
            published.append(Published(version, commit, {}, None, error.misfits[0]))
            continue
        rows = {name: sum(facts["rows"].values()) for name, facts in manifest["configs"].items()}
        published.append(Published(version, commit, rows, manifest.get("parent")))
    return published


def fetch(to: str, version: str | None = None) -> Path:
    """A local folder with all files of one version, by default the newest; a version on the Hub goes through the
    client's cache.

    Raises:
        PublishError: the target has no such version.
    """
    target = open_target(to)
    return target.folder(_demand(target, _known(target), version))


def _demand(target: Target, there: dict[Version, str], version: str | None) -> str:
    """The commit of a version, by default of the newest."""
    wanted = parse_version(version) if version else max(there)
    if wanted not in there:
        known = ", ".join(map(str, sorted(there))) or "none"
        raise PublishError(f"{target.name} has no version {wanted}; it has {known}")
    return there[wanted]


def _known(target: Target) -> dict[Version, str]:
    there = target.versions()
    if not there:
        raise PublishError(f"{target.name} has no versions yet; publish one with `stepforge publish`. A version is "
                           "a tag such as v1.0.0, or in a folder a subfolder of that name with a stepforge.json")
    return there


def manifest_of(to: str, version: str) -> tuple[dict | None, Version | None]:
    """The manifest of a version at a target, None where it has no such version, and the newest version there.

    Raises:
        ReleaseError: the manifest there is none of a release.
    """
    target = open_target(to)
    try:
        there = target.versions()
    except Absent:
        return None, None
    commit = there.get(parse_version(version))
    manifest = parse_manifest(target.read(commit, MANIFEST) or b"", f"v{version}") if commit else None
    return manifest, max(there, default=None)


def find_version(to: str, version: str) -> Stored:
    """A version at a target.

    Raises:
        PublishError: the target has no such version; ReleaseError: its manifest is none of a release.
    """
    target = open_target(to)
    return read_version(target, _demand(target, _known(target), version), f"v{parse_version(version)}")


def diff(to: str, old: str, new: str) -> Diff:
    """The changes between two versions at a target: rows, columns and measures."""
    return compare_versions(find_version(to, old), find_version(to, new))


def compare(old: Path, new: Path) -> Diff:
    """What changed from the release folder `old` to `new`: rows and columns of every config, and measures.

    Raises:
        ReleaseError: one of them is no release, or its files are not what its manifest says.
    """
    return compare_versions(stored_in(old), stored_in(new))


def compare_versions(old: Stored, new: Stored) -> Diff:
    """As `compare`; files that both manifests list with one checksum count as the same rows and are not read.

    Raises:
        ReleaseError: files that differ are not what their manifest says.
    """
    before, after = old.manifest, new.manifest
    both = [name for name in before["configs"] if name in after["configs"]]
    apart = {name: (old.beside(new, name), new.beside(old, name)) for name in both}
    none: tuple[list[Path], list[Path]] = ([], [])
    shards = {name: (old.shards(gone, name), new.shards(come, name)) if gone and come else none
              for name, (gone, come) in apart.items()}
    stored = sum(path.stat().st_size for pair in shards.values() for paths in pair for path in paths)
    with bounded_duckdb(stored) as connection:
        changes = {name: _compare_config(connection, name, (_rows(gone), _rows(come)), shards[name],
                                         before["configs"][name]["columns"], after["configs"][name]["columns"])
                   for name, (gone, come) in apart.items()}
        moved = _into_train(connection, shards, before["configs"], after["configs"])
    gained = {name: facts for name, facts in after["configs"].items() if name not in both}
    lost = {name: facts for name, facts in before["configs"].items() if name not in both}
    changes |= {name: ConfigChange(sum(facts["rows"].values()), 0, 0, [], [], [], "new config")
                for name, facts in gained.items()}
    changes |= {name: ConfigChange(0, sum(facts["rows"].values()), 0, [], [], [], "config removed")
                for name, facts in lost.items()}
    return Diff(changes, list(gained), list(lost), _compare_measures(before, after), moved)


def propose_version(old: Version | None, kind: str | None) -> Version:
    """The lowest version that a change of `kind` (see `Diff.kind`) may have after `old`; 1.0.0 where there is none."""
    return old.next(kind or "patch") if old else Version(1, 0, 0)


def demand_version(version: Version, old: Version | None, kind: str | None) -> None:
    """Refuse a version that is lower than the change demands.

    Raises:
        VersionError: naming the lowest version that is allowed.
    """
    lowest = propose_version(old, kind)
    if old and version < lowest:
        raise VersionError(f"version {version} is too low after {old}: this is a {kind or 'patch'} change (see "
                           f"`stepforge diff`), so {lowest} is the lowest; publish as {lowest}")


def versions_table(published: list[Published]) -> Table:
    table = Table("version", "commit", "parent", "rows")
    for row in published:
        rows = row.fault or ", ".join(f"{name} {count:,}" for name, count in row.rows.items())
        table.add_row(f"v{row.version}", cell(row.commit[:12]), cell(row.parent or "–"),
                      cell(in_line(rows, 1000), "red" if row.fault else ""))
    return table


def diff_tables(changes: Diff) -> list[Table]:
    """Tables of what changed; none where nothing did."""
    rows = Table("config", "added", "removed", "changed", "columns", title=f"Rows ({changes.kind or 'no'} change)")
    for name, change in changes.configs.items():
        if any(change):
            rows.add_row(cell(name), f"{change.added:,}", f"{change.removed:,}", f"{change.changed:,}",
                         cell(change.words))
    measures = Table("generator", "measure", "k", "before", "after", title="Measures")
    for generator, measure, k, before, after in changes.measures:
        if before != after:
            values = ("–" if value is None else f"{value:.3f}" for value in (before, after))
            measures.add_row(cell(generator), cell(measure), str(k or "–"), *values)
    return [table for table in (rows, measures) if table.row_count]


def _rows(files: dict[str, dict[str, Any]]) -> int:
    return sum(facts["rows"] for facts in files.values())


def _compare_config(connection: duckdb.DuckDBPyConnection, name: str, rows: tuple[int, int],
                    shards: tuple[list[Path], list[Path]], before: dict[str, str], after: dict[str, str]
                    ) -> ConfigChange:
    """What changed in a config that both releases have: columns before and after, and files that one of them has.

    `rows` counts those of the files; `shards` are the files, to be read where both releases have some.
    """
    common = [column for column in after if before.get(column) == after[column]]
    key = [column for column in (CONFIGS[name].key if name in CONFIGS else ()) if column in common] or common
    counts = (rows[1], rows[0], 0) if common else (0, 0, 0)
    if common and all(shards):
        try:
            for view, paths, columns in (("old_rows", shards[0], before), ("new_rows", shards[1], after)):
                _keyed(connection, paths, key, common, columns).create_view(view)
            (counts,) = connection.execute(_COMPARE).fetchall()
        except duckdb.Error as error:
            raise ReleaseError(f"the rows of {name} in the two versions cannot be compared: {in_line(error)}; inspect "
                               "them with `stepforge check`") from error
    return ConfigChange(
        *counts, [column for column in after if column not in before],
        [column for column in before if column not in after],
        [column for column in after if column in before and column not in common])


def _into_train(connection: duckdb.DuckDBPyConnection, shards: dict[str, tuple[list[Path], list[Path]]],
                before: dict[str, dict], after: dict[str, dict]) -> int:
    """How many problems stand in a held-out split of the older release and in train of the newer one.

    A file that both releases have cannot add any: its rows did not move.
    """
    joint = [name for name in shards if all("problem_id" in release[name]["columns"] for release in (before, after))]
    paths = [[[str(path) for path in shards[name][at] if path.name.startswith("train-") == in_train]
              for name in joint] for at, in_train in ((0, False), (1, True))]
    if not all(map(any, paths)):
        return 0
    for view, parts in zip(("held_out", "trained"), paths, strict=True):
        ids = [connection.from_parquet(part).select("problem_id") for part in parts if part]
        reduce(duckdb.DuckDBPyRelation.union, ids).distinct().create_view(view)
    ((count,),) = connection.execute("SELECT count(*) FROM held_out SEMI JOIN trained USING (problem_id)").fetchall()
    return int(count)


def _keyed(connection: duckdb.DuckDBPyConnection, paths: list[Path], key: list[str], content: list[str],
           types: dict[str, str]) -> duckdb.DuckDBPyRelation:
    """Rows of a config as (key, content), both 128-bit hashes over columns; the split is part of the content."""
    empty = "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS content WHERE false"
    whole = connection.sql(empty)
    for split in SPLITS:
        if parts := [str(path) for path in paths if path.name.startswith(f"{split}-")]:
            keys = [_hashed(column, types) for column in key]
            contents = [ConstantExpression(split), *(_hashed(column, types) for column in content)]
            whole = whole.union(connection.from_parquet(parts).select(
                _digest(keys).alias("key"), _digest(contents).alias("content")))
    return whole


def _hashed(column: str, types: dict[str, str]) -> duckdb.Expression:
    """A column of texts by their hashes: a batch of long texts, written as JSON, would be in memory once more."""
    value = ColumnExpression(column)
    return FunctionExpression("md5", value) if types[column] in ("string", "large_string") else value


def _digest(values: list[duckdb.Expression]) -> duckdb.Expression:
    row = FunctionExpression("row", *values)
    return FunctionExpression("md5", FunctionExpression("to_json", row).cast("VARCHAR"))


def _compare_measures(before: dict, after: dict) -> list[tuple[str, str, int | None, float | None, float | None]]:
    old, new = ({(row["generator"], row["measure"], row.get("k")): row["value"] for row in manifest.get("measures", [])
                 if row.get("by", "all") == "all"} for manifest in (before, after))
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key[1], key[0], key[2] or 0))
    return [(*key, old.get(key), new.get(key)) for key in keys]
