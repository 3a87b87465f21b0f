"""The files of a version as they are published: the release's data, its manifest and card with the version's stamps.

In goes a release folder and what the target tells (earlier versions, changes, the user's own section of the card); out
come blobs with the checksums by which any target knows a file. The same folder and stamps give the same bytes, so a
run that was stopped can see at the target whether its own commit is there.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from stepforge.builders.files import replacing
from stepforge.builders.release import MANIFEST, ReleaseError, manifest_bytes, read_manifest, sha256_file
from stepforge.cards.dataset_card import CARD, own_section, render_card

STAMPS = ("version", "parent", "changes", "repo")
ALONG = ("assets", "report")  # folders that go along beside the data
_IN_LFS = 20_000_000  # bytes; larger files are in LFS everywhere and have no git id


class Blob(NamedTuple):
    """A file to publish: where its bytes are, and the two checksums by which targets know it."""

    source: Path | bytes
    sha256: str
    git_id: str
    size: int

    @classmethod
    def of(cls, source: Path | bytes) -> "Blob":
        if isinstance(source, bytes):
            return cls(source, hashlib.sha256(source).hexdigest(), _git_id(source), len(source))
        size = source.stat().st_size
        return cls(source, sha256_file(source), _git_id(source.read_bytes()) if size < _IN_LFS else "", size)

    def content(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


class Bundle(NamedTuple):
    """Every file of one version by its path in the repository, and the manifest among them as data."""

    files: dict[str, Blob]
    manifest: dict

    def keep(self, folder: Path) -> None:
        """Let the release folder hold the card and the manifest as they were published."""
        for path in (CARD, MANIFEST):
            with replacing(folder / path) as temporary:
                temporary.write_bytes(self.files[path].content())


def read_unstamped(folder: Path) -> dict:
    """The manifest of a release folder without what an earlier publication added.

    Raises:
        ReleaseError: a file of the data is missing or is not the one that the manifest lists.
    """
    manifest = read_manifest(folder)
    files = {path: facts for path, facts in manifest["files"].items() if "config" in facts}
    for path, facts in files.items():
        if not (folder / path).is_file() or sha256_file(folder / path) != facts["sha256"]:
            raise ReleaseError(f"{folder / path} is not the file that the manifest lists; build the release again")
    return {key: value for key, value in manifest.items() if key not in STAMPS} | {"files": files}


def make_bundle(folder: Path, manifest: dict, data: dict[str, Blob], stamps: dict, own_there: str) -> Bundle:
    """The files of a version.

    Args:
        manifest: of the folder, without stamps; `data` holds its files.
        stamps: version, parent, changes and repo, where known.
        own_there: the user's section of the card at the target; it stays unless the folder's card has one.
    """
    stamped = manifest | stamps
    card = folder / CARD
    own = (own_section(card.read_text(encoding="utf-8")) if card.is_file() else "") or own_there
    along = [path for name in ALONG for path in sorted((folder / name).rglob("*"))]
    beside = {path.relative_to(folder).as_posix(): Blob.of(path)
              for path in along if path.is_file() and not path.name.startswith(".")}
    beside[CARD] = Blob.of(render_card(folder, stamped, own).encode())
    stamped["files"] = manifest["files"] | {path: {"sha256": blob.sha256, "bytes": blob.size}
                                            for path, blob in beside.items()}
    return Bundle({**data, **beside, MANIFEST: Blob.of(manifest_bytes(stamped))}, stamped)


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
