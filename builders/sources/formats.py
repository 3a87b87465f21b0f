"""Formats of files that are read here, told by their names."""

from collections.abc import Iterable
from pathlib import Path

from stepforge.builders.errors import SourceError

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
PACKED = (".gz", ".zst", ".bz2", ".xz")


def format_of(path: Path) -> str:
    """The format by the file's name, `.jsonl` for `samples.JSONL.gz`.

    Raises:
        SourceError: it is none that is read here.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in PACKED
    suffix = ("", "", *suffixes)[-1 - packed]
    if suffix not in FORMATS or (packed and suffix in (".parquet", ".arrow")):
        raise SourceError(f"{path}: the format {''.join(suffixes[-2:] if packed else suffixes[-1:])!r} is not read; "
                          f"allowed: {', '.join(FORMATS)}, those of text also packed as {', '.join(PACKED)}")
    return suffix


def data_files(folder: str, files: Iterable[Path]) -> list[Path]:
    """The data in a folder: its files of one known format; hidden ones and files of other kinds are no data."""
    known: dict[str, list[Path]] = {}
    for path in sorted(files):
        if not path.name.startswith((".", "_")):
            try:
                known.setdefault(format_of(path), []).append(path)
            except SourceError:
                continue
    if len(known) > 1:
        raise SourceError(f"{folder!r} holds files of the formats {', '.join(sorted(known))}; select one of them "
                          f"with a glob, such as {folder.rstrip('/')}/*{min(known)}")
    return next(iter(known.values()), [])
