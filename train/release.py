"""Reads one config of a release, after checking that it is what its manifest says.

In: where a release is (a folder, a versioned directory `local:PATH` with one folder a version, or a Hub dataset id),
a revision and a config. Out: the rows of a split as a `datasets.Dataset`, and the manifest. TRL's own arguments have
no revision, so a training run could not be pinned to a tag; here it can, and a Hub release must be. A release may be
anybody's: of its files only those are read that the manifest lists, with their checksums, and no code of it is run.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetsError

from stepforge.builders.manifest import MANIFEST, load_manifest, read_manifest
from stepforge.builders.manifest import ReleaseError as ReleaseError
from stepforge.builders.shards import wrong_with_shard

UNKNOWN = {"complete"}  # columns that may be null
UNKNOWN_INSIDE = {"labels", "values", "weights"}  # and columns whose lists may hold null


@dataclass(frozen=True)
class Release:
    """An opened release. `folder` is None for a release on the Hub, whose files are fetched on demand."""

    name: str
    revision: str | None
    folder: Path | None
    manifest: dict[str, Any]

    def rows(self, config: str, split: str, columns: Mapping[str, str]) -> Dataset:
        """Rows of one split, all columns, after checking that `columns` (name to kind, see `kind`) are there.

        Raises ReleaseError where the config, the split or a column is missing or of another kind, where a value that a
        trainer needs is null or no finite number, or where a file is missing or not the one of the manifest.
        """
        configs = self.manifest["configs"]
        if config not in configs:
            why = self.manifest.get("left_out", {}).get(config)
            raise ReleaseError(
                f"{self.name}: no config {config!r}{f' ({why})' if why else ''}; it has {', '.join(sorted(configs))}; "
                "choose one with --dataset_config, or add it to `release.configs` of the recipe and build again")
        if split not in configs[config]["rows"]:
            raise ReleaseError(f"{self.name}: config {config!r} has no split {split!r}; "
                               f"it has {', '.join(configs[config]['rows'])}")
        if not configs[config]["rows"][split]:
            raise ReleaseError(f"{self.name}: config {config!r} has no rows in its split {split!r}")
        rows = self._rows(config, split)
        check_columns(rows.features.arrow_schema, columns, f"{self.name}, config {config}")
        check_values(rows.data, columns, f"{self.name}, config {config}")
        return rows

    def _rows(self, config: str, split: str) -> Dataset:
        names = [name for name, entry in self.manifest["files"].items()
                 if (entry.get("config"), entry.get("split")) == (config, split)]  # the card and plots have neither
        files = [self._checked(name) for name in sorted(names)]
        if not files:
            raise ReleaseError(f"{self.name}: config {config!r} has rows in its split {split!r} and no file there")
        try:
            return load_dataset("parquet", data_files=list(map(str, files)), split="train")
        except (DatasetsError, pa.ArrowException, ValueError, OSError, MemoryError) as error:
            raise ReleaseError(f"{self.name}: the rows of {config}/{split} cannot be read: {error}") from error

    def _checked(self, name: str) -> Path:
        """The file, here, once its checksum is the manifest's and its rows are safe to read."""
        facts = self.manifest["files"][name]
        file = self.folder / name if self.folder else _download(self.name, str(self.revision), name)
        try:
            if not file.is_file():
                raise ReleaseError(f"{file} is in the manifest but not in the folder; copy the release again")
            with file.open("rb") as stream:
                checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ReleaseError(f"{file} cannot be read: {error.strerror}") from error
        if checksum != facts["sha256"]:
            raise ReleaseError(
                f"{file} has sha256 {checksum[:12]}…, the manifest says {facts['sha256'][:12]}…: the file was changed "
                "after the release was built; copy the release again, or build again")
        for wrong in wrong_with_shard(file, facts["rows"], self.manifest["configs"][facts["config"]]["columns"]):
            raise ReleaseError(f"{file}: {wrong.what} ({wrong.detail}); copy the release again")
        return file


def open_release(dataset: str, revision: str | None) -> Release:
    """Find the release that `dataset` and `revision` name, and read its manifest.

    A folder with a manifest is taken as it is (then `revision`, if given, must be its version); a folder of versions
    needs `revision` to choose one; anything else is a Hub dataset id, and needs a revision to be pinned to.
    Raises ReleaseError for whatever does not exist or is no release.
    """
    path = Path(dataset.removeprefix("local:")).expanduser()
    if path.is_dir():
        return _open_folder(path, revision)
    if dataset.startswith(("local:", "/", ".", "~")) or dataset.count("/") != 1:
        raise ReleaseError(f"--dataset {dataset!r}: there is no such folder; give the folder of a release, a folder "
                           "of versions (local:PATH), or a Hub dataset as OWNER/NAME")
    return _open_hub(dataset, revision)


def _open_folder(path: Path, revision: str | None) -> Release:
    folder = path if (path / MANIFEST).is_file() else path / (revision or "")
    if not (folder / MANIFEST).is_file():
        versions = sorted(file.parent.name for file in path.glob(f"v*/{MANIFEST}"))
        allowed = f"it holds the versions {', '.join(versions)}" if versions else f"nothing there has a {MANIFEST}"
        raise ReleaseError(f"--dataset {path} with --revision {revision}: no release there; {allowed}")
    manifest = read_manifest(folder)
    asked = ((manifest.get("recipe") or {}).get("release") or {}).get("version")
    known = manifest.get("version") or asked  # published as, else built as
    version = known if known in (None, "auto") else f"v{known.removeprefix('v')}"
    if revision is not None and revision != version:
        raise ReleaseError(f"{folder} is version {version}, not {revision}; leave --revision out, or give another")
    return Release(manifest["name"], version, folder, manifest)


def _open_hub(dataset: str, revision: str | None) -> Release:
    if revision is None:
        raise ReleaseError(f"--dataset {dataset} is on the Hub: give --revision vX.Y.Z too, so that the training can "
                           "be repeated")
    path = _download(dataset, revision, MANIFEST)
    return Release(dataset, revision, None, load_manifest(path, f"{dataset}@{revision}"))


def _download(dataset: str, revision: str, name: str) -> Path:
    """A file of a revision, from the Hub or the client's cache."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return Path(hf_hub_download(dataset, name, repo_type="dataset", revision=revision))
    except RevisionNotFoundError as error:
        raise ReleaseError(f"{dataset} has no revision {revision!r}; look up its tags on the Hub") from error
    except RepositoryNotFoundError as error:
        raise ReleaseError(f"there is no folder and no readable Hub dataset {dataset!r}; check the name, and your "
                           "token if it is private") from error
    except EntryNotFoundError as error:
        why = "it was not published by stepforge" if name == MANIFEST else "it is not whole"
        raise ReleaseError(f"{dataset}@{revision} has no {name}: {why}") from error
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{dataset}@{revision} cannot be reached: {error}") from error


def check_columns(schema: pa.Schema, columns: Mapping[str, str], where: str) -> None:
    """Raises ReleaseError unless every one of `columns` is in `schema` and of the kind asked for."""
    for name, needed in columns.items():
        if name not in schema.names:
            raise ReleaseError(f"{where}: there is no column {name!r}; there are {', '.join(schema.names)}")
        held = kind(schema.field(name).type)
        if held not in (needed, "empty"):
            raise ReleaseError(f"{where}: column {name!r} holds {held}; needed is {needed}")


def check_values(table: Any, columns: Mapping[str, str], where: str) -> None:
    """Raises ReleaseError for a null where a trainer needs a value, and for a number that is none.

    `table` is a table of pyarrow or of `datasets`.
    """
    for name, needed in columns.items():
        column = table.column(name)
        if column.null_count and name not in UNKNOWN:
            raise ReleaseError(f"{where}: column {name!r} is null in {column.null_count:,} rows; every row needs it")
        if needed.startswith("list of"):
            column = pc.list_flatten(column)
            if column.null_count and name not in UNKNOWN_INSIDE:
                raise ReleaseError(f"{where}: lists of column {name!r} hold null {column.null_count:,} times")
        if needed.endswith("real") and pc.any(pc.invert(pc.is_finite(column))).as_py():
            raise ReleaseError(f"{where}: column {name!r} contains a number that is not finite; the release "
                               "is not as it was built")


def kind(arrow_type: pa.DataType) -> str:
    """An Arrow type in a word or three: text, bool, int, real, empty, list of text and so on."""
    types = pa.types
    if types.is_list(arrow_type) or types.is_large_list(arrow_type):
        return f"list of {kind(arrow_type.value_type)}"
    tests = {"text": lambda t: types.is_string(t) or types.is_large_string(t), "bool": types.is_boolean,
             "int": types.is_integer, "real": types.is_floating, "empty": types.is_null}
    return next((word for word, test in tests.items() if test(arrow_type)), str(arrow_type))
