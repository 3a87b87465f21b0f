"""Files that lie elsewhere (s3://, hf://, gs://, https://), brought to this machine once for each of their versions.

In: a URL, which may hold a glob or be a folder. Out: paths of local copies, under a name made from the URL and from
what its server says of its version, so that a file that changed there is fetched again and one that did not is not.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import fsspec

from stepforge.builders.errors import SourceError
from stepforge.builders.files import replacing
from stepforge.builders.sources.formats import data_files
from stepforge.builders.tables import content_id


def is_remote(pattern: str) -> bool:
    return "://" in pattern


def fetch(pattern: str) -> list[Path]:
    """Local copies of the files behind a URL, in the order of their names; empty where none matches.

    Raises:
        SourceError: the server cannot be reached, refuses, or speaks a protocol that no installed package knows.
    """
    protocol = urlsplit(pattern).scheme
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        if any(c in path for c in "*?["):
            names = sorted(system.glob(path))
        elif not Path(path).suffix and system.isdir(path):
            names = [str(file) for file in data_files(pattern, map(Path, system.find(path)))]
        else:
            names = [path]
        return [_copy(system, protocol, name) for name in names]
    except FileNotFoundError:
        return []
    except ImportError as error:
        raise SourceError(f"{pattern!r}: {error}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {pattern!r}: {error}") from error


def _copy(system: fsspec.AbstractFileSystem, protocol: str, name: str) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stepforge" / "remote"
    target = root / content_id(protocol, name, system.ukey(name)) / Path(name).name
    if not target.exists():
        with replacing(target) as temporary:
            system.get_file(name, str(temporary))
    return target
