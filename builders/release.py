"""The release folder: Parquet shards per config and split, and the manifest that lists each file with its checksum.

In goes one Parquet table per config, whose column `split` says where each row belongs, and what the run knows about
itself (recipe, stages, prompts, costs). Out comes the folder that is published as it stands: `stepforge.json` and
`CONFIG/SPLIT-00000-of-0000N.parquet`. The same input gives the same bytes, rows keep their order, and rows appended at
the end leave the bytes before them as they were. The manifest is written last: a folder without one is unfinished.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepforge.builders.files import replacing
from stepforge.builders.manifest import CONFIG_NAME, SHARD_NAME, ManifestError, parse_manifest
from stepforge.builders.manifest import MANIFEST as MANIFEST
from stepforge.builders.manifest import SPLITS as SPLITS
from stepforge.builders.manifest import ReleaseError as ReleaseError
from stepforge.builders.manifest import read_manifest as read_manifest
from stepforge.builders.parquet import Finish, parts_of, read_batches
from stepforge.builders.tables import content_id

NOTHING: Mapping[str, Finish] = {}
RULE_OF_SPLITS = "by hash of seed and group_id; an upstream test or validation split stays what it is"
BLOCK_ROWS = 1000
ROW_GROUP_BYTES = 32 * 1024**2  # the viewer scans one row group a page; fewer, larger ones share more chunks
SHARD_BYTES = 512 * 1024**2
# Pages of a quarter of the usual size: 1.3% more bytes, but 5% more rows put in at 20 places then cost 52% of the
# bytes to upload instead of 72% (tests/benchmarks/publish.py, 18 MB).
CHUNKING = {"min_chunk_size": 64 * 1024, "max_chunk_size": 256 * 1024, "norm_level": 0}
# Columns of few values. A dictionary page stands at the head of its column and changes with every new value, so a
# dictionary of long texts would cost the next version a large chunk in every row group.
DICTIONARY = (
    "generator", "generator_id", "policy", "origin", "source", "license", "subject", "level", "rule", "mode",
    "verdict", "method", "reason", "finish_reason", "estimator", "soundness", "judged_by",
)


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_of(group_id: str, seed: int, upstream_split: str, fractions: dict[str, float]) -> str:
    """The split of a group of problems: the source's own, or for train drawn by the hash of seed and group.

    Args:
        group_id: variants of one problem share it, so none of them is tested on while another is trained on.
        upstream_split: the source's own split; the strictest of those of the group's problems.
        fractions: share of the other groups that each split but train receives, for example {"test": 0.05}.
    """
    unknown = sorted(set(fractions) - set(SPLITS))
    if unknown or any(share < 0 for share in fractions.values()) or sum(fractions.values()) > 1:
        raise ReleaseError(f"splits are {fractions}; allowed are {SPLITS}, with shares that add up to at most 1")
    if upstream_split != "train":
        return upstream_split
    draw = int(content_id("split", seed, group_id)[:13], 16) / 16**13
    test = fractions.get("test", 0.0)
    return "test" if draw < test else "validation" if draw < test + fractions.get("validation", 0.0) else "train"


def split_groups(problems: Iterable[tuple[str, str, str | None]], seed: int, fractions: dict[str, float]
                 ) -> Iterator[tuple[str, str]]:
    """Each group_id with its split, from its problems, which stand together.

    One test problem makes a group test, else one validation problem makes it validation. A group of which an earlier
    version had problems is not drawn again: it keeps their split, the strictest one of several.

    Args:
        problems: (group_id, split in the source, split in the earlier version) of every problem; null where that
            version had no such problem.
    """
    for group_id, members in groupby(problems, key=itemgetter(0)):
        upstream, earlier = zip(*((split, kept) for _, split, kept in members), strict=True)
        kept = [split for split in earlier if split]
        strictest = max((*upstream, *kept), key=SPLITS.index)
        yield group_id, strictest if kept else split_of(group_id, seed, strictest, fractions)


def write_release(folder: Path, tables: dict[str, Path], manifest: dict, max_shard_bytes: float = SHARD_BYTES,
                  row_group_bytes: int = ROW_GROUP_BYTES, finish: Mapping[str, Finish] = NOTHING,
                  by_part: bool = False) -> dict:
    """Write the release of `tables` (config name to a Parquet table of all its rows) to `folder`.

    Every config counts the rows of every split. A split without rows gets no file and a config without rows no folder:
    `datasets` cannot load a split of no rows, nor the other splits beside such a file; the manifest lists
    both under `left_out`. A card, its plots and other files in the folder stay; the data of an earlier build goes.

    Args:
        max_shard_bytes: size at which a shard is closed, in bytes of Arrow memory (before encoding and compression).
        row_group_bytes: the same for a row group.
        finish: by config, what completes its rows on their way, block by block in their order.
        by_part: give every part of a table a shard of its own, numbered as the part is, in place of shards by size:
            other rows in one part leave the shards of the others as they are, by name and byte for byte.

    Returns:
        `manifest` with `rule_of_splits`, `configs` (columns, rows), `files` (sha256, bytes, rows, config, split) and
        `left_out`, as written to stepforge.json.

    Raises:
        ReleaseError: a table lacks the column `split`, a row names another split than train, validation or test, or
            the name of a config is not fit for a folder. The folder then still holds what it held.
    """
    folder.mkdir(parents=True, exist_ok=True)
    workshop = folder / ".building"
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        written = {name: _write_config(workshop, name, path, math.inf if by_part else max_shard_bytes,
                                       row_group_bytes, finish.get(name), by_part) for name, path in tables.items()}
        full = {**manifest, "rule_of_splits": RULE_OF_SPLITS}
        full |= _describe(workshop, tables, written)
        parse_manifest(manifest_bytes(full), f"{folder / MANIFEST}")  # raises before anything is replaced
        _replace_data(folder, workshop, full["configs"])
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    write_manifest(folder, full)
    return full


def is_finished(folder: Path) -> bool:
    """Whether the release is all there: its manifest, and every file of the length that the manifest says."""
    try:
        files = read_manifest(folder)["files"]
        return all((folder / name).stat().st_size == facts["bytes"] for name, facts in files.items())
    except (ReleaseError, OSError):
        return False


def list_files(folder: Path, paths: Iterable[str]) -> None:
    """Let the manifest list what lies under `paths`, relative to the folder; it forgets those that are not there.

    Only what a manifest lists is published.
    """
    manifest = read_manifest(folder)
    for path in paths:
        manifest["files"].pop(path, None)
        if (folder / path).is_file():
            manifest["files"][path] = {"sha256": sha256_file(folder / path), "bytes": (folder / path).stat().st_size}
    write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: dict) -> None:
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_bytes(manifest_bytes(manifest))


def manifest_bytes(manifest: dict) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write_config(folder: Path, config: str, table: Path, shard_bytes: float, group_bytes: int,
                  finish: Finish | None, by_part: bool) -> dict[str, list[Path]]:
    """Shards of one config by split, under their final names."""
    if not CONFIG_NAME.fullmatch(config):
        raise ReleaseError(f"config name {config!r}: allowed are lower-case letters, digits and _, as in step_pairs")
    schema = _schema_of(table)
    if "split" not in schema.names:
        raise ReleaseError(f"the table of config {config} ({table}) has no column `split`; it has {schema.names}")
    published = schema.remove(schema.get_field_index("split")).remove_metadata()
    writers = {split: _Shards(folder / config, split, published, shard_bytes, group_bytes) for split in SPLITS}
    for number, part in enumerate(parts := parts_of(table)):
        for batch in read_batches(part, batch_rows=BLOCK_ROWS):
            block = pa.Table.from_batches([batch])
            unknown = set(pc.unique(block["split"]).to_pylist()) - set(SPLITS)
            if unknown:
                raise ReleaseError(f"config {config} has rows of split {unknown}; allowed are {SPLITS}")
            if finish is not None:
                block = finish(block)
            for split, writer in writers.items():
                writer.add(block.filter(pc.equal(block["split"], split)).select(published.names))
        if by_part:
            for writer in writers.values():
                writer.end_part(number, len(parts))
    return {split: writer.finish() for split, writer in writers.items()}


def _schema_of(table: Path) -> pa.Schema:
    return pq.read_schema(parts_of(table)[0])


class _Shards:
    """Rows of one split on their way into shards, closed at sizes or where told; memory holds one row group."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, shard_bytes: float, group_bytes: int) -> None:
        self.folder, self.split, self.schema = folder, split, schema
        self.shard_bytes, self.group_bytes = shard_bytes, group_bytes
        self.pending: list[pa.Table] = []
        self.pending_bytes = self.written_bytes = 0
        self.writer: pq.ParquetWriter | None = None
        self.paths: list[Path] = []
        self.named: list[Path] = []

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        self.pending.append(rows)
        self.pending_bytes += rows.nbytes
        if self.pending_bytes >= self.group_bytes:
            self._write_group()

    def end_part(self, number: int, total: int) -> None:
        """Let the rows since the last part be the shard `number` of `total`; without any, there is none."""
        self._write_group()
        if self.writer is not None:
            self._close()
            self.named.append(self._named(self.paths.pop(), number, total))

    def finish(self) -> list[Path]:
        self._write_group()
        self._close()
        return self.named + [self._named(path, index, len(self.paths)) for index, path in enumerate(self.paths)]

    def _named(self, path: Path, number: int, total: int) -> Path:
        return path.rename(self.folder / f"{self.split}-{number:05d}-of-{total:05d}.parquet")

    def _write_group(self) -> None:
        if not self.pending:
            return
        if self.writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.paths.append(self.folder / f"{self.split}-{len(self.paths):05d}.open")
            self.writer = open_shard(self.paths[-1], self.schema)
        group = pa.concat_tables(self.pending).cast(self.schema)
        self.writer.write_table(group, row_group_size=group.num_rows)
        self.written_bytes += self.pending_bytes
        self.pending, self.pending_bytes = [], 0
        if self.written_bytes >= self.shard_bytes:
            self._close()

    def _close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer, self.written_bytes = None, 0


def open_shard(path: Path, schema: pa.Schema, chunking: dict | bool = CHUNKING) -> pq.ParquetWriter:
    few = [name for name in schema.names if name in DICTIONARY]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=few or False, write_page_index=True,
                            use_content_defined_chunking=chunking)


def _describe(root: Path, tables: dict[str, Path], written: dict[str, dict[str, list[Path]]]) -> dict:
    """The manifest's part on the data: configs, files and what was left out for want of rows."""
    configs: dict[str, dict] = {}
    files: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    validated = any(splits["validation"] for splits in written.values())  # a release may do without that split
    for config, splits in written.items():
        rows = {split: 0 for split in splits if split != "validation" or validated}
        for split, paths in splits.items():
            for path in paths:
                count = pq.read_metadata(path).num_rows
                rows[split] += count
                files[path.relative_to(root).as_posix()] = {
                    "sha256": sha256_file(path), "bytes": path.stat().st_size, "rows": count,
                    "config": config, "split": split}
        if any(rows.values()):
            left_out |= {f"{config}/{split}": "no rows" for split, count in rows.items() if not count}
            columns = {field.name: str(field.type) for field in _schema_of(tables[config]) if field.name != "split"}
            configs[config] = {"columns": columns, "rows": rows}
        else:
            left_out[config] = "no rows"
    return {"configs": configs, "files": files, "left_out": left_out}


def _replace_data(folder: Path, workshop: Path, configs: dict) -> None:
    """Put the new data in the place of the old. Without a manifest in between, so that no reader takes a mixture."""
    try:
        earlier = set(read_manifest(folder)["configs"]) if (folder / MANIFEST).is_file() else set()
    except ManifestError:  # what it says is lost, so every folder of shards counts as data
        earlier = {path.parent.name for path in folder.glob("*/*.parquet") if SHARD_NAME.fullmatch(path.name)}
    (folder / MANIFEST).unlink(missing_ok=True)
    for config in sorted(earlier | set(configs)):
        for path in _shards_in(folder / config):
            path.unlink()
        if config in configs:
            (folder / config).mkdir(exist_ok=True)
            for path in _shards_in(workshop / config):
                path.rename(folder / config / path.name)
        elif (folder / config).is_dir() and not any((folder / config).iterdir()):
            (folder / config).rmdir()


def _shards_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.parquet")) if SHARD_NAME.fullmatch(path.name)]
