"""The files of a version as they are published: the release's data, its manifest and card with the version's stamps.

In goes a release folder and what the target holds (earlier versions, the card with people's edits); out come blobs
with the checksums by which any target knows a file. Only what the manifest lists is taken, and nothing through a link.
The same folder, stamps and edits give the same bytes, so a run that was stopped finds its own commit again.
"""

import hashlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from stepforge.builders.files import replacing
from stepforge.builders.release import MANIFEST, ReleaseError, manifest_bytes, read_manifest
from stepforge.cards.dataset_card import CARD, keep_local, make_card, validate
from stepforge.cards.edits import Merged, Written, merge, parse_card

STAMPS = ("version", "parent", "changes", "repo", "card")
SHA256_DIGITS = 64
_IN_LFS = 20_000_000  # bytes; larger files are in LFS everywhere and have no git id


class Blob(NamedTuple):
    """A file to publish: where its bytes are, their checksum, and how many they are.

    The checksum of a file is that of the manifest. Who reads the file to publish it compares (upload.py).
    """

    source: Path | bytes
    sha256: str
    size: int

    @classmethod
    def of(cls, source: bytes) -> "Blob":
        return cls(source, hashlib.sha256(source).hexdigest(), len(source))

    def is_at(self, checksum: str | None) -> bool:
        """Whether a target that gives a file this checksum has these bytes: sha256, or git's outside of LFS."""
        if checksum is None or len(checksum) == SHA256_DIGITS:
            return checksum == self.sha256
        return self.size < _IN_LFS and _git_id(self.content()) == checksum

    def content(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


def unlisted(path: Path) -> ReleaseError:
    return ReleaseError(f"{path} does not have the checksum that the manifest lists; build the release again")


class Bundle(NamedTuple):
    """Every file of a version by its path in the repository, the manifest as data, a note for each edit of people."""

    files: dict[str, Blob]
    manifest: dict
    notes: list[str]

    def keep(self, folder: Path) -> None:
        """Let the release folder hold the card and the manifest as they were published."""
        for path in (CARD, MANIFEST):
            with replacing(folder / path) as temporary:
                temporary.write_bytes(self.files[path].content())


def read_unstamped(folder: Path) -> dict:
    """The manifest of a release folder without what an earlier publication added.

    Raises:
        ReleaseError: a listed file is missing, is a link, lies elsewhere, or has another size than the manifest says.
    """
    manifest = read_manifest(folder)
    files = {path: facts for path, facts in manifest["files"].items() if path != CARD}
    for path, facts in files.items():
        if plain_file(folder, path).stat().st_size != facts["bytes"]:
            raise unlisted(folder / path)
    return {key: value for key, value in manifest.items() if key not in STAMPS} | {"files": files}


def plain_file(folder: Path, path: str) -> Path:
    """A file of the release that lies in its folder itself.

    Raises:
        ReleaseError: it is missing, is a link or lies behind one, or its path leaves the folder.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ReleaseError(f"the manifest in {folder} lists {path!r}, which lies outside the folder; nothing is "
                           "published. Build the release again")
    place = folder
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise ReleaseError(f"{place} is a symbolic link, and links are not published, because they can point to "
                               "any file of this machine; put a copy in its place")
    if not place.is_file():
        raise ReleaseError(f"{place} is missing, although the manifest lists it; build the release again")
    return place


class There(NamedTuple):
    """A card at a target: its text, where it stands, and what the tool wrote there last time."""

    text: str
    where: str
    written: Written


def make_bundle(folder: Path, manifest: dict, data: dict[str, Blob], stamps: dict, there: list[There]) -> Bundle:
    """The files of a version.

    Args:
        manifest: of the folder, without stamps; `data` holds its files.
        stamps: version, parent, changes and repo, where known.
        there: cards at the target which people may have edited: the newest, and that of an open pull request.
    """
    stamped = manifest | stamps
    plain = make_card(folder, stamped)
    merged = Merged(keep_local(plain, folder), [])
    notes: dict[str, None] = {}
    for at in there:
        merged = merge(at.written, parse_card(at.text, at.where), merged.card)
        notes |= dict.fromkeys(merged.notes)
    card = merged.card
    text = card.text()
    validate(text, plain)
    readme = Blob.of(text.encode())
    published = {key for at in there for key in at.written.foreign}
    foreign = sorted(published | {str(key) for key in card.header if key not in plain.header})
    stamped["card"] = Written.of(plain._replace(own=card.own))._replace(foreign=foreign)._asdict()
    stamped["files"] = manifest["files"] | {CARD: {"sha256": readme.sha256, "bytes": readme.size}}
    return Bundle({**data, CARD: readme, MANIFEST: Blob.of(manifest_bytes(stamped))}, stamped, list(notes))


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
