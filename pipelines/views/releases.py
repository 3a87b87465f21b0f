"""A release as frames: every config as a polars LazyFrame or a `datasets.Dataset`, and configs joined by their ids.

In: a folder, a folder of versions, or the id of a dataset on the Hub. Out: frames that read the Parquet files when
they are collected; files of the Hub come through its client's cache.
"""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from stepforge.builders.errors import UserError
from stepforge.builders.manifest import MANIFEST, ReleaseError, read_manifest
from stepforge.builders.shards import demand_shards
from stepforge.builders.terminal import printable
from stepforge.cards.address import is_repository
from stepforge.cards.versions import fetch, versions

if TYPE_CHECKING:
    from datasets import Dataset

IDS = ("solution_id", "problem_id")  # the narrowest first


class Release(NamedTuple):
    """A release: its folder on this machine, and its manifest as a dict."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str | None:
        """Version of the release; None if it is not published."""
        version = self.manifest.get("version")
        return None if version is None else str(version)

    @property
    def configs(self) -> dict[str, dict[str, int]]:
        """Number of rows per config and split."""
        return {name: dict(facts["rows"]) for name, facts in self.manifest["configs"].items()}

    def frame(self, config: str, split: str | None = None) -> pl.LazyFrame:
        """The rows of a config as a polars LazyFrame: of one split, or of all with a column `split`.

        Files are looked at first: their footers, whether they are as the manifest says, and how large their rows are.
        `stepforge check` compares the checksums as well.

        Raises:
            UserError: there is no such config or split, or a file is not what the manifest says.
        """
        if config not in self.configs:
            raise UserError(f"{self.name} has no config {config!r}; it has {', '.join(self.configs)}")
        if split is not None and split not in self.configs[config]:
            raise UserError(f"{config} has no split {split!r}; it has {', '.join(self.configs[config])}")
        parts = []
        for part in self.configs[config] if split is None else (split,):
            if files := demand_shards(self.folder, self.manifest, config, part):
                rows = pl.scan_parquet(files)
                parts.append(rows if split else rows.with_columns(split=pl.lit(part)))
        if not parts:
            raise UserError(f"{config} of {self.name} has no files, so it has no rows")
        return pl.concat(parts)

    def join(self, config: str, other: str) -> pl.LazyFrame:
        """The rows of a config, joined with the columns of another by solution or problem.

        Raises:
            UserError: they share no id.
        """
        left, right = self.frame(config), self.frame(other).drop("split")
        names, there = left.collect_schema().names(), right.collect_schema().names()
        key = next((name for name in IDS if name in names and name in there), None)
        if key is None:
            raise UserError(f"{config} and {other} have none of {', '.join(IDS)} in common")
        fresh = [name for name in there if name == key or name not in names]
        return left.join(right.select(fresh), on=key, how="left")

    def dataset(self, config: str, split: str = "train") -> "Dataset":
        """The rows of one split as a `datasets.Dataset`, for TRL; errors as for `frame`."""
        from datasets import Dataset

        return Dataset.from_polars(self.frame(config, split).collect())

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {sum(splits.values()):,}" for name, splits in self.configs.items())
        return printable(f"Release {self.name} {self.version or '(not published)'}: {rows}")

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(str(splits))}</td></tr>"
                       for name, splits in self.configs.items())
        return f"<b>{escape(self.name)} {escape(self.version or '')}</b><table>{rows}</table>"


def open_release(where: str | Path, version: str | None = None) -> Release:
    """Open a release.

    Args:
        where: "ORG/NAME" or "hub:ORG/NAME" on the Hub, "local:PATH" with versions below it, or a release's folder.
        version: "1.0.0" or "v1.0.0"; by default the newest. A folder that is a release must be that version.

    Raises:
        UserError: there is no such release or version.
    """
    path = Path(str(where).removeprefix("local:")).expanduser()
    if (path / MANIFEST).is_file():
        release = Release(path, read_manifest(path))
        wanted = None if version is None else version.removeprefix("v")
        if wanted not in (None, release.version):
            raise ReleaseError(f"{path} is version {release.version}, not {wanted}; leave the version out")
        return release
    to = str(where)
    if not to.startswith(("hub:", "local:")):
        if not path.is_dir() and (isinstance(where, Path) or not is_repository(to)):
            raise ReleaseError(f"there is no folder {path}; name the folder `release` of a run, a folder of versions, "
                               "or ORG/NAME on the Hub")
        to = f"local:{path}" if path.is_dir() else f"hub:{where}"
    if version is None:
        published = versions(to)
        if not published:
            raise UserError(f"{to} has no version yet; publish one with `stepforge publish`")
        version = str(published[-1].version)
    folder = fetch(to, version.removeprefix("v"))
    return Release(folder, read_manifest(folder))
