"""What the tests' Hub keeps: repositories with commits and their parents, branches, tags, files in LFS or not."""

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from functools import cached_property


class File:
    """A file in LFS or not; memory holds it compressed, so that gigabytes of sparse content fit."""

    def __init__(self, content: bytes, lfs: bool) -> None:
        self.lfs, self.size = lfs, len(content)
        self._packed = zlib.compress(content, 1)

    @property
    def content(self) -> bytes:
        return zlib.decompress(self._packed)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def git_id(self) -> str:
        stored = self.content
        if self.lfs:
            stored = f"version https://git-lfs\noid sha256:{self.sha256}\nsize {self.size}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    def entry(self, path: str) -> dict:
        entry = {"type": "file", "path": path, "size": self.size, "oid": self.git_id}
        lfs = {"oid": self.sha256, "size": self.size, "pointerSize": 130}
        return entry | ({"lfs": lfs} if self.lfs else {})


@dataclass
class Commit:
    id: str
    parent: str | None
    title: str
    files: dict[str, File]


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)  # main, tags and refs/pr/N to commit ids
    tags: set[str] = field(default_factory=set)
    requests: dict[int, dict[str, str]] = field(default_factory=dict)  # pull requests: title, author, status

    def add(self, ref: str, parent: str | None, title: str, files: dict[str, File]) -> Commit:
        listing = json.dumps({path: file.git_id for path, file in sorted(files.items())})
        seed = f"{parent} {title} {listing} {len(self.commits)}"
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, files)
        self.commits[commit.id] = commit
        self.refs[ref] = commit.id
        return commit

    def at(self, revision: str) -> Commit:
        commit = self.commits.get(self.refs.get(revision, revision))
        if commit is None:
            raise Refused(404, "RevisionNotFound", f"no revision {revision}")
        return commit


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code
