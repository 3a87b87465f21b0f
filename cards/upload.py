"""Files on their way to a target: read once, compared with the manifest's checksum as they are read, in parts.

In: blobs with the checksums of the manifest. Out: the additions of the Hub's client, and the parts of a version that
is too large for one commit. The Hub's documents ask for few files a commit; one of thousands runs into time limits.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import CommitOperationAdd, constants

from stepforge.builders.manifest import MANIFEST
from stepforge.cards.bundle import Blob, unlisted
from stepforge.cards.dataset_card import CARD

MOST_FILES, MOST_BYTES = 250, 50 * 10**9  # of one commit
Part = tuple[dict[str, Blob], list[str]]


def fits_one_commit(add: dict[str, Blob]) -> bool:
    return len(add) <= MOST_FILES and sum(blob.size for blob in add.values()) <= MOST_BYTES


def parts_of(add: dict[str, Blob], delete: list[str]) -> Iterator[Part]:
    """What each commit adds and deletes; deletions, card and manifest are in the last one."""
    part: dict[str, Blob] = {}
    last = {path: blob for path, blob in add.items() if path in (CARD, MANIFEST)}
    for path, blob in chain(((path, blob) for path, blob in add.items() if path not in last), last.items()):
        if part and not fits_one_commit(part | {path: blob}):
            yield part, []
            part = {}
        part[path] = blob
    yield part, delete


class Reading:
    """A file that is read once, to publish it, and compared with its checksum on the way."""

    def __init__(self, path: Path, file: BinaryIO, sha256: str) -> None:
        self.path, self.sha256 = path, sha256
        self._file, self._read = file, file.read
        self._digest, self._place = hashlib.sha256(), 0

    def read(self, size: int | None = -1) -> bytes:
        """As of the file. What is read a second time, as when an upload is tried again, counts once."""
        start = self._file.tell()
        data = self._read(-1 if size is None else size)
        if start <= self._place < start + len(data):
            self._digest.update(data[self._place - start:])
            self._place = start + len(data)
        return data

    def demand(self) -> None:
        """Raises ReleaseError where the whole file was read and is not the one that the manifest lists."""
        if self._place == self.path.stat().st_size and self._digest.hexdigest() != self.sha256:
            raise unlisted(self.path)


class Addition(CommitOperationAdd):
    """A file to upload that is read once: its checksum is compared on the way, before anything is committed."""

    def __init__(self, path: str, blob: Blob) -> None:
        super().__init__(path, blob.source)
        self.blob = blob
        if constants.HF_HUB_DISABLE_XET or not find_spec("hf_xet"):  # which computes it as it reads; LFS does not
            self.upload_info.sha256 = bytes.fromhex(blob.sha256)

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        with super().as_file(with_tqdm) as file:
            if isinstance(self.blob.source, bytes):
                yield file
                return
            reading = Reading(self.blob.source, file, self.blob.sha256)
            file.read = reading.read  # type: ignore[method-assign]
            try:
                yield file
            finally:
                reading.demand()

    def demand(self) -> None:
        """Raises ReleaseError where what was uploaded is not the file that the manifest lists."""
        if isinstance(self.blob.source, Path) and self.upload_info.is_hashed and (
                self.upload_info.sha256.hex() != self.blob.sha256):
            raise unlisted(self.blob.source)
