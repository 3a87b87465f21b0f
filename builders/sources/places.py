"""Where files lie: paths, folders, globs and URLs, each expanded to files of formats that are read here.

In: patterns of a recipe. Out: local paths, in the order of the patterns and, within one, of the names; a file that
several patterns reach is read once.
"""

from collections.abc import Iterable
from glob import glob
from pathlib import Path

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.formats import data_files, format_of
from stepforge.builders.sources.remote import fetch, is_remote


def expand(paths: Iterable[str]) -> list[Path]:
    """Files behind paths, folders, globs and URLs (remote.py), each known to exist and to be of a known format.

    Raises:
        SourceError: nothing matches, a file is of another format, or a folder holds files of more than one format.
    """
    files = []
    for pattern in paths:
        matches = fetch(pattern) if is_remote(pattern) else _local(pattern)
        if not matches:
            raise SourceError(f"no file matches {pattern!r}")
        files += matches
    once: dict[Path, Path] = {}
    for path in files:
        format_of(path)
        once.setdefault(path.resolve(), path)
    return list(once.values())


def _local(pattern: str) -> list[Path]:
    if Path(pattern).is_dir():
        return data_files(pattern, [path for path in Path(pattern).rglob("*") if path.is_file()])
    if Path(pattern).exists():  # a name may hold the signs of a glob
        return [Path(pattern)]
    return [path for path in map(Path, sorted(glob(pattern, recursive=True))) if path.is_file()]
