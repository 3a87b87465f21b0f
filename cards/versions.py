"""Versions of a dataset: which there are, what changed between two, and which number a change demands.

In go targets (`hub:ORG/NAME`, `local:PATH`) or release folders; out comes plain data, with a function beside each that
draws it as a table. Rows are compared in DuckDB: matched by the ids of their config, equal when a hash of all columns
that both versions have is equal. Names of columns come from files of others: they enter as expressions, not as SQL.
"""

import json
from pathlib import Path
from typing import NamedTuple

import duckdb
from duckdb import ColumnExpression, ConstantExpression, FunctionExpression
from rich.table import Table

from stepforge.builders.configs import CONFIGS
from stepforge.builders.release import SPLITS, read_manifest
from stepforge.cards.address import PublishError
from stepforge.cards.semver import Version, VersionError, parse_version
from stepforge.cards.targets import open_target

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
    """One version at a target."""

    version: Version
    commit: str
    rows: dict[str, int]
    parent: str | None


class ConfigChange(NamedTuple):
    """What changed in one config: rows by id, and the schema in words."""

    added: int
    removed: int
    changed: int
    new_columns: list[str]
    lost_columns: list[str]
    retyped_columns: list[str]

    @property
    def columns(self) -> str:
        parts = [("new", self.new_columns), ("lost", self.lost_columns), ("other type", self.retyped_columns)]
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


class Diff(NamedTuple):
    """What changed from one version to the next."""

    configs: dict[str, ConfigChange]
    new_configs: list[str]
    lost_configs: list[str]
    measures: list[tuple[str, str, int | None, float | None, float | None]]

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
                       "columns": change.columns or "same"}
                for name, change in self.configs.items() if any(change)}


def versions(to: str) -> list[Published]:
    """The versions at a target, oldest first, with the rows of each config."""
    target = open_target(to)
    found = []
    for version, commit in sorted(target.versions().items()):
        manifest = _manifest_at(target.read(commit, "stepforge.json"))
        rows = {name: sum(facts["rows"].values()) for name, facts in manifest.get("configs", {}).items()}
        found.append(Published(version, commit, rows, manifest.get("parent")))
    return found


def fetch(to: str, version: str) -> Path:
    """A local folder with all files of one version; a version on the Hub goes through the client's cache.

    Raises:
        PublishError: the target has no such version.
    """
    target, wanted = open_target(to), parse_version(version)
    there = target.versions()
    if wanted not in there:
        known = ", ".join(map(str, sorted(there))) or "none"
        raise PublishError(f"{target.name} has no version {wanted}; it has {known}")
    return target.folder(there[wanted])


def diff(to: str, old: str, new: str) -> Diff:
    """What changed between two versions at a target."""
    return compare(fetch(to, old), fetch(to, new))


def compare(old: Path, new: Path) -> Diff:
    """What changed from the release folder `old` to `new`: rows and columns of every config, and measures."""
    before, after = read_manifest(old), read_manifest(new)
    both = [name for name in before["configs"] if name in after["configs"]]
    changes = {name: _compare_config(old, new, name, before["configs"][name]["columns"],
                                     after["configs"][name]["columns"]) for name in both}
    gained = {name: facts for name, facts in after["configs"].items() if name not in both}
    lost = {name: facts for name, facts in before["configs"].items() if name not in both}
    changes |= {name: ConfigChange(sum(facts["rows"].values()), 0, 0, [], [], []) for name, facts in gained.items()}
    changes |= {name: ConfigChange(0, sum(facts["rows"].values()), 0, [], [], []) for name, facts in lost.items()}
    return Diff(changes, list(gained), list(lost), _compare_measures(before, after))


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
        raise VersionError(f"version {version} is too low after {old}: the change is a {kind or 'patch'} one (see "
                           f"`stepforge diff`), so {lowest} is the lowest; publish as {lowest}")


def versions_table(found: list[Published]) -> Table:
    table = Table("version", "commit", "parent", "rows")
    for row in found:
        rows = ", ".join(f"{name} {count:,}" for name, count in row.rows.items())
        table.add_row(f"v{row.version}", row.commit[:12], row.parent or "–", rows)
    return table


def diff_tables(found: Diff) -> list[Table]:
    rows = Table("config", "added", "removed", "changed", "columns", title=f"Rows ({found.kind or 'no'} change)")
    for name, change in found.configs.items():
        rows.add_row(name, f"{change.added:,}", f"{change.removed:,}", f"{change.changed:,}", change.columns or "same")
    measures = Table("generator", "measure", "k", "before", "after", title="Measures")
    for generator, measure, k, before, after in found.measures:
        values = ("–" if value is None else f"{value:.3f}" for value in (before, after))
        measures.add_row(generator, measure, str(k or "–"), *values)
    return [rows, measures] if found.measures else [rows]


def _manifest_at(content: bytes | None) -> dict:
    """A manifest of someone else's making: what cannot be read counts as empty."""
    try:
        manifest = json.loads(content or b"{}")
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _compare_config(old: Path, new: Path, name: str, before: dict, after: dict) -> ConfigChange:
    common = [column for column in after if before.get(column) == after[column]]
    key = [column for column in (CONFIGS[name].key if name in CONFIGS else ()) if column in common] or common
    with duckdb.connect() as connection:
        for view, folder in (("old_rows", old), ("new_rows", new)):
            _keyed(connection, folder / name, key, common).create_view(view)
        added, removed, changed = connection.execute(_COMPARE).fetchone() or (0, 0, 0)
    return ConfigChange(
        added, removed, changed, [column for column in after if column not in before],
        [column for column in before if column not in after],
        [column for column in after if column in before and column not in common])


def _keyed(connection: duckdb.DuckDBPyConnection, folder: Path, key: list[str], content: list[str]
           ) -> duckdb.DuckDBPyRelation:
    """Rows of a config as (key, content), both 128-bit hashes over columns; the split is part of the content."""
    parts = []
    for split in SPLITS:
        if paths := sorted(map(str, folder.glob(f"{split}-*.parquet"))):
            digest = FunctionExpression("row", ConstantExpression(split), *map(ColumnExpression, content))
            parts.append(connection.from_parquet(paths).select(
                _digest(FunctionExpression("row", *map(ColumnExpression, key))).alias("key"),
                _digest(digest).alias("content")))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.union(part)
    return whole


def _digest(value: duckdb.Expression) -> duckdb.Expression:
    return FunctionExpression("md5", FunctionExpression("to_json", value).cast("VARCHAR"))


def _compare_measures(before: dict, after: dict) -> list[tuple[str, str, int | None, float | None, float | None]]:
    old, new = ({(row["generator"], row["measure"], row["k"]): row["value"] for row in manifest.get("measures", [])
                 if row.get("by", "all") == "all"} for manifest in (before, after))
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key[1], key[0], key[2] or 0))
    return [(*key, old.get(key), new.get(key)) for key in keys]
