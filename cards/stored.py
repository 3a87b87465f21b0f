"""A release as a comparison needs it: its manifest, and files of it on demand.

In: a release folder, or a version at a target. Out: which files another release lacks, and those files, safe to read.
What two manifests list with one checksum is the same; of a large version that grew, little is fetched and read.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.manifest import MANIFEST, parse_manifest, read_manifest
from stepforge.builders.shards import demand_shards
from stepforge.cards.targets import Target


class Stored(NamedTuple):
    """A release: its manifest, and a function that makes files of it available and returns their folder."""

    manifest: dict[str, Any]
    fetch: Callable[[list[str]], Path]

    def beside(self, other: "Stored", config: str) -> dict[str, dict[str, Any]]:
        """Files of a config that the other release has not in the same split, with what the manifest says of them."""
        known = Counter((facts["split"], facts["sha256"]) for facts in other.files(config).values())
        apart = {}
        for path, facts in self.files(config).items():
            same = (facts["split"], facts["sha256"])
            if known[same]:
                known[same] -= 1
            else:
                apart[path] = facts
        return apart

    def shards(self, files: dict[str, dict[str, Any]], config: str) -> list[Path]:
        """Paths of files of a config, once they are safe to read."""
        return demand_shards(self.fetch(sorted(files)), self.manifest | {"files": files}, config)

    def files(self, config: str) -> dict[str, dict[str, Any]]:
        """Files of a config, with what the manifest says of them."""
        return {path: facts for path, facts in self.manifest["files"].items() if facts.get("config") == config}


def stored_in(folder: Path) -> Stored:
    """A release folder.

    Raises:
        ReleaseError: it is none.
    """
    return Stored(read_manifest(folder), lambda paths: folder)


def read_version(target: Target, commit: str, name: str) -> Stored:
    """A version at a target; its files are fetched where they are asked for.

    Raises:
        ReleaseError: its manifest is none of a release.
    """
    manifest = parse_manifest(target.read(commit, MANIFEST) or b"", f"{name} at {target.name}")
    return Stored(manifest, lambda paths: target.folder(commit, paths))
