"""The manifest of a release, `stepforge.json`: the one definition of what it holds, and the one way to read it.

In goes the manifest of anybody's release, perhaps a damaged or a hostile one. Out comes a plain dict that fits
`Manifest`: code that uses it need not doubt a type. Its size is looked at before it is read, and its depth before it
is used. Keys that this version does not know stay. File names lead to no place outside the release.
"""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stepforge.builders.errors import UserError
from stepforge.builders.terminal import in_line

MANIFEST = "stepforge.json"
SPLITS = ("train", "validation", "test")
MOST_BYTES = 16 * 2**20  # a manifest of 1,000 groups has 5 MB; 16 MiB of brackets become 0.4 GB of Python objects
MOST_DEPTH = 40
MOST_MISFITS = 20
MOST_FILES = 20_000
CONFIG_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
SHARD_NAME = re.compile(r"(train|validation|test)-\d{5}-of-\d{5}\.parquet")
VERSION = r"^v?\d{1,6}\.\d{1,6}\.\d{1,6}$"


class ReleaseError(UserError):
    """A release cannot be written or read as asked."""


class ManifestError(ReleaseError):
    """The manifest is not one of a release; `misfits` holds one line for each thing that is wrong with it."""

    def __init__(self, where: str, misfits: list[str]) -> None:
        super().__init__(f"{in_line(where)} is not the manifest of a release: {'; '.join(misfits[:3])}"
                         f"{f'; and {len(misfits) - 3} more' if len(misfits) > 3 else ''}. Get the release again, or "
                         "build it again")
        self.misfits = misfits


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path or not path.isprintable() or str(
            PurePosixPath(path)) != path or path == "." or len(path) > 1000 or any(
            len(part.encode()) > 255 for part in parts):
        raise ValueError("a file is named by its path below the release, without `..`, such as pairs/train-…")
    return path


def _config(name: str) -> str:
    if not CONFIG_NAME.fullmatch(name):
        raise ValueError("a config is named by lower-case letters, digits and _, as in step_pairs")
    return name


def _split(name: str) -> str:
    if name not in SPLITS:
        raise ValueError(f"allowed are {', '.join(SPLITS)}")
    return name


Inside = Annotated[str, AfterValidator(_inside)]
ConfigName = Annotated[str, AfterValidator(_config)]
Split = Annotated[str, AfterValidator(_split)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


def _at_most(entries: int) -> BeforeValidator:
    """A bound of a mapping that is looked at before its entries: millions of misfits take 1.6 kB each."""
    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > entries:
            raise ValueError(f"allowed are at most {entries:,} entries, not {len(value):,}")
        return value

    return BeforeValidator(check)


Facts = dict[str, Any]
FactsByName = Annotated[dict[str, Facts], _at_most(1000)]
CountsByName = Annotated[dict[str, Annotated[dict[str, Count], _at_most(100)]], _at_most(100)]
TextByName = Annotated[dict[str, str | None], _at_most(20_000)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)


class File(_Part):
    """A file of the release. Data has config, split and rows; cards and plots have none of them."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Checksum of its bytes.")
    bytes: Count = Field(description="Its length.")
    config: ConfigName | None = Field(None, description="The config whose rows it holds.")
    split: Split | None = Field(None, description="The split of its rows.")
    rows: Count | None = Field(None, description="Their number.")


class ConfigFacts(_Part):
    """A config of the release."""

    columns: Annotated[dict[Name, Name], _at_most(300)] = Field(
        description="Arrow type in words by column, in the order of the files.")
    rows: Annotated[dict[Split, Count], _at_most(3)] = Field(
        description="Rows by split; a split without rows has no file.")


class Measure(_Part):
    """One number about one generator."""

    generator: str = Field(description="Name of the generator.")
    measure: str = Field(description="What is measured.")
    k: int | None = Field(None, description="Samples that it is about, where it is about a number of them.")
    value: float | None = Field(description="The number.")
    low: float | None = Field(None, description="Lower end of its interval.")
    high: float | None = Field(None, description="Upper end of its interval.")
    by: str = Field("all", description="How problems are grouped.")
    group: str | None = Field(None, description="The group.")


class AnnotateFacts(_Part):
    pit_fall: float | None = Field(None, description="Fall that a pit needs.")


class ReleaseFacts(_Part):
    version: str | None = Field(None, description="Version that the recipe asks for.")
    unsound_positives: str | None = Field(None, description="What becomes of unsound positives.")
    min_pit_drop: float | None = Field(None, description="Smallest drop at a pit.")


class RecipeFacts(_Part):
    """What readers of a release use of its recipe."""

    release: ReleaseFacts | None = Field(None, description="Options of the release.")
    annotate: AnnotateFacts | None = Field(None, description="Options of step values.")


class CardFacts(_Part):
    """What the tool wrote into the card, by which edits of people are told from it."""

    header: str = Field(description="The header's YAML.")
    lines: str = Field(description="A mark for each line of the body.")
    own: str = Field(description="A mark of the section that is people's own.")
    foreign: list[str] = Field(default=[], fail_fast=True, description="Keys of the header that people have set.")


class Manifest(_Part):
    """What a release says about itself."""

    name: Name = Field(description="Name of the recipe.")
    configs: Annotated[dict[ConfigName, ConfigFacts], _at_most(100)] = Field(description="Columns and rows by config.")
    files: Annotated[dict[Inside, File], _at_most(MOST_FILES)] = Field(
        description="Every file by its path below the release.")
    recipe: RecipeFacts | None = Field(None, description="The recipe that made it.")
    version: str | None = Field(None, pattern=VERSION, description="Version as which it was published.")
    parent: str | None = Field(None, pattern=VERSION, description="Version before.")
    repo: Name | None = Field(None, description="Repository on the Hub.")
    card: CardFacts | None = Field(None, description="The card as the tool wrote it.")
    changes: FactsByName | None = Field(None, description="What changed since the version before.")
    excluded: CountsByName | None = Field(None, description="Rows that configs leave out, by config and reason.")
    left_out: TextByName = Field(default={}, description="Why configs or splits are missing.")
    measures: list[Measure] = Field(default=[], fail_fast=True, description="Measures of the run.")
    stages: FactsByName = Field(default={}, description="What stages accounted for.")
    generators: list[Facts] = Field(default=[], fail_fast=True, description="What wrote solutions.")
    licenses: TextByName = Field(default={}, description="License by source.")
    license: str | None = Field(None, description="License of the release.")
    ledger: FactsByName = Field(default={}, description="Tokens by stage.")
    packages: TextByName = Field(default={}, description="Version by package.")

    @model_validator(mode="after")
    def _files_fit_their_configs(self) -> "Manifest":
        for path, file in self.files.items():
            if file.config is None:
                continue
            config, _, name = path.partition("/")
            if config != file.config or config not in self.configs:
                raise ValueError(f"file {in_line(path)!r} belongs to no config of that name")
            if not SHARD_NAME.fullmatch(name) or file.split != name.partition("-")[0] or file.rows is None:
                raise ValueError(f"file {in_line(path)!r} needs a name such as {config}/train-00000-of-00001.parquet, "
                                 "its split and its number of rows")
        return self


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the release in `folder`.

    Raises:
        ReleaseError: there is none, or it does not fit.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ReleaseError(f"{folder} has no {MANIFEST}, so it is not a finished release; build it first")
    return load_manifest(path)


def load_manifest(path: Path, where: str = "") -> dict[str, Any]:
    """The manifest in a file that may be of any size; errors as for `parse_manifest`."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ManifestError(where or str(path), [f"it has {size:,} bytes; a manifest has {MOST_BYTES:,} at most"])
        return parse_manifest(path.read_bytes(), where or str(path))
    except OSError as error:
        raise ReleaseError(f"{in_line(path)} cannot be read: {error.strerror}") from error


def parse_manifest(content: bytes, where: str) -> dict[str, Any]:
    """A manifest as a dict that fits `Manifest`.

    Raises:
        ManifestError: it is too large, no JSON, too deep, or does not fit; names what, where and what is allowed.
    """
    if len(content) > MOST_BYTES:
        raise ManifestError(where, [f"it has {len(content):,} bytes; a manifest has {MOST_BYTES:,} at most"])
    try:
        loaded = json.loads(content.decode(), parse_constant=_no_number)
        _refuse_odd(loaded)
        Manifest.model_validate(loaded)
    except ValidationError as error:
        raise ManifestError(where, [_misfit(dict(misfit)) for misfit in error.errors()[:MOST_MISFITS]]) from None
    except RecursionError:
        raise ManifestError(where, [f"it is nested more than {MOST_DEPTH} deep"]) from None
    except ValueError as error:
        raise ManifestError(where, [f"it is not JSON that a manifest may hold: {in_line(error)}"]) from None
    manifest: dict[str, Any] = loaded
    return manifest


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _refuse_odd(value: Any) -> None:
    """Raises ValueError for what is nested too deep, and for text that no file and no terminal can hold."""
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                item.encode()
            elif isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise ValueError(f"it is nested more than {MOST_DEPTH} deep")


def _misfit(error: dict[str, Any]) -> str:
    where = ".".join(in_line(part, 60) for part in error["loc"] if part != "[key]") or "the manifest"
    given = error["input"]
    value = "" if isinstance(given, dict | list | BaseModel) else f" (got {in_line(repr(given), 60)})"
    return f"{where}: {in_line(error['msg'].removeprefix('Value error, '))}{value}"
