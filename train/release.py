"""Reads one config of a release, after checking that it is what its manifest says.

In: where a release is (a folder, a versioned directory `local:PATH` with one folder a version, or a Hub dataset id),
a revision and a config. Out: the rows of a split as a `datasets.Dataset`, and the manifest. TRL's own arguments have
no revision, so a training run could not be pinned to a tag; here it can, and a Hub release must be.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, load_dataset

MANIFEST = "stepforge.json"


class ReleaseError(ValueError):
    """A release, or a request for one, that cannot be used; the message says what is allowed and what to do."""


@dataclass(frozen=True)
class Release:
    """An opened release. `folder` is None for a release on the Hub, whose files `datasets` fetches on demand."""

    name: str
    revision: str | None
    folder: Path | None
    manifest: dict[str, Any]

    def rows(self, config: str, split: str, columns: Mapping[str, str]) -> Dataset:
        """Rows of one split, all columns, after checking that `columns` (name to kind, see `kind`) are there.

        Raises ReleaseError where the config, the split or a column is missing or of another kind, or where a local
        file is missing or not the one that the manifest was written for.
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
        rows = self._local_rows(config, split) if self.folder else self._hub_rows(config, split)
        check_columns(rows.features.arrow_schema, columns, f"{self.name}, config {config}")
        return rows

    def _local_rows(self, config: str, split: str) -> Dataset:
        assert self.folder is not None
        listed = {self.folder / name: entry["sha256"] for name, entry in self.manifest["files"].items()
                  if (entry.get("config"), entry.get("split")) == (config, split)}  # the card and plots have neither
        for file, expected in listed.items():
            if not file.is_file():
                raise ReleaseError(f"{file} is in the manifest and not in the folder; copy the release again")
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != expected:
                raise ReleaseError(
                    f"{file} has sha256 {found[:12]}…, the manifest says {expected[:12]}…: the file was changed after "
                    "the release was built; copy the release again, or build again")
        return load_dataset("parquet", data_files=sorted(map(str, listed)), split="train")

    def _hub_rows(self, config: str, split: str) -> Dataset:
        try:
            return load_dataset(self.name, config, split=split, revision=self.revision)
        except ValueError as error:  # datasets names the splits or configs that do exist
            raise ReleaseError(f"{self.name}@{self.revision}: {error}") from error


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
        versions = sorted(found.parent.name for found in path.glob(f"v*/{MANIFEST}"))
        allowed = f"it holds the versions {', '.join(versions)}" if versions else f"nothing there has a {MANIFEST}"
        raise ReleaseError(f"--dataset {path} with --revision {revision}: no release there; {allowed}")
    manifest = read_manifest((folder / MANIFEST).read_text(encoding="utf-8"), str(folder / MANIFEST))
    version = f"v{manifest.get('version') or manifest['recipe']['release']['version']}"  # published as, else built as
    if revision is not None and revision != version:
        raise ReleaseError(f"{folder} is version {version}, not {revision}; leave --revision out, or give another")
    return Release(manifest["name"], version, folder, manifest)


def _open_hub(dataset: str, revision: str | None) -> Release:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    if revision is None:
        raise ReleaseError(f"--dataset {dataset} is on the Hub: give --revision vX.Y.Z too, so that it can be redone")
    where = f"{dataset}@{revision}"
    try:
        found = hf_hub_download(dataset, MANIFEST, repo_type="dataset", revision=revision)
    except RevisionNotFoundError as error:
        raise ReleaseError(f"{dataset} has no revision {revision!r}; look up its tags on the Hub") from error
    except RepositoryNotFoundError as error:
        raise ReleaseError(f"there is no folder and no readable Hub dataset {dataset!r}; check the name, and your "
                           "token if it is private") from error
    except EntryNotFoundError as error:
        raise ReleaseError(f"{where} has no {MANIFEST}: it was not published by stepforge") from error
    except OSError as error:
        raise ReleaseError(f"{where} cannot be reached: {error}") from error
    return Release(dataset, revision, None, read_manifest(Path(found).read_text(encoding="utf-8"), where))


def read_manifest(text: str, where: str) -> dict[str, Any]:
    """The manifest as a dict; ReleaseError unless it has what is read here: its name, recipe, configs and files."""
    try:
        manifest = json.loads(text)
    except json.JSONDecodeError as error:
        raise ReleaseError(f"{where} is not JSON: {error}") from error
    for key, kind_ in (("name", str), ("recipe", dict), ("configs", dict), ("files", dict)):
        if not isinstance(manifest, dict) or not isinstance(manifest.get(key), kind_):
            raise ReleaseError(f"{where}: the manifest needs {key!r} ({kind_.__name__}); build the release again")
    return manifest


def check_columns(schema: pa.Schema, columns: Mapping[str, str], where: str) -> None:
    """Raises ReleaseError unless every one of `columns` is in `schema` and of the kind asked for."""
    for name, needed in columns.items():
        if name not in schema.names:
            raise ReleaseError(f"{where}: there is no column {name!r}; there are {', '.join(schema.names)}")
        found = kind(schema.field(name).type)
        if found not in (needed, "empty"):
            raise ReleaseError(f"{where}: column {name!r} holds {found}; needed is {needed}")


def kind(arrow_type: pa.DataType) -> str:
    """An Arrow type in a word or three: text, bool, int, real, empty, list of text and so on."""
    types = pa.types
    if types.is_list(arrow_type) or types.is_large_list(arrow_type):
        return f"list of {kind(arrow_type.value_type)}"
    tests = {"text": lambda t: types.is_string(t) or types.is_large_string(t), "bool": types.is_boolean,
             "int": types.is_integer, "real": types.is_floating, "empty": types.is_null}
    return next((word for word, test in tests.items() if test(arrow_type)), str(arrow_type))
