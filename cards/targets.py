"""Where versions are kept: a dataset repository on the Hub, or a local folder that behaves alike.

Both give the same few steps, which `cards/publish.py` puts in order: what versions there are, what the newest commit
holds, put files there in one piece, and name a commit as a version. A commit is whole or absent, and a version once
named is never moved. The Hub client finds the token in the usual places; nothing here reads, prints or keeps it.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.hf_api import RepoFile

from stepforge.builders.manifest import MANIFEST, MOST_BYTES, ReleaseError
from stepforge.builders.release import sha256_file
from stepforge.cards.address import PublishError, read_address
from stepforge.cards.bundle import SHA256_DIGITS, Blob
from stepforge.cards.failures import Absent, Moved, explained
from stepforge.cards.semver import Version, parse_tag
from stepforge.cards.upload import Addition, Reading, parts_of

COPIED_BYTES = 2**20  # at a time
_OUR_TITLE = re.compile(r"(Publish|Upload) v\d+\.\d+\.\d+")  # of a commit, and of the pull request that it opens


class Request(NamedTuple):
    """An open pull request: its number, title, address, and the newest commit in it."""

    number: int
    title: str
    address: str
    commit: str


class Target(Protocol):
    """A place that keeps versions of one dataset."""

    name: str          # as the user wrote it
    repo: str | None   # what goes into the card's programs; None for a folder, whose path is nobody's business

    def is_private(self) -> bool | None: ...  # None where there is nothing yet, or where nothing is private
    def create(self, private: bool) -> None: ...
    def versions(self) -> dict[Version, str]: ...
    def head(self) -> str | None: ...
    def checksums(self, commit: str) -> dict[str, str]: ...
    def read(self, commit: str, path: str) -> bytes | None: ...
    def commit(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
               whole: dict[str, Blob]) -> str: ...
    def request(self, verb: str) -> Request | None: ...
    def merge(self, request: Request) -> None: ...
    def propose(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
                request: Request | None) -> Request: ...
    def tag(self, version: Version, commit: str) -> None: ...
    def settle(self) -> None: ...
    def fetch(self, commit: str, into: Path, path: str) -> Path: ...
    def folder(self, commit: str, only: list[str] | None = None) -> Path: ...
    def load_arguments(self, commit: str) -> dict[str, str]: ...


def open_target(to: str) -> Target:
    """The target that `hub:ORG/NAME` or `local:PATH` names; a bare ORG/NAME is taken as one on the Hub.

    Raises:
        PublishError: another form.
    """
    kind, where = read_address(to)
    return LocalTarget(Path(where).expanduser()) if kind == "local" else HubTarget(where)


class HubTarget:
    """A dataset repository on the Hub. Every method changes it in one request or not at all."""

    repo: str | None

    def __init__(self, repo: str) -> None:
        self.name, self.repo, self.id = f"hub:{repo}", repo, repo
        self.api = HfApi(library_name="stepforge")

    def is_private(self) -> bool | None:
        try:
            with explained(self.name):
                return self.api.repo_info(self.id, repo_type="dataset").private
        except Absent:
            return None

    def create(self, private: bool) -> None:
        with explained(self.name):
            self.api.create_repo(self.id, repo_type="dataset", private=private, exist_ok=True)

    def versions(self) -> dict[Version, str]:
        with explained(self.name):
            refs = self.api.list_repo_refs(self.id, repo_type="dataset")
        tagged = {parse_tag(ref.name): ref.target_commit for ref in refs.tags}
        return {version: commit for version, commit in tagged.items() if version}

    def head(self) -> str | None:
        with explained(self.name):
            return self.api.repo_info(self.id, repo_type="dataset").sha

    def checksums(self, commit: str) -> dict[str, str]:
        with explained(self.name):
            tree = list(self.api.list_repo_tree(self.id, repo_type="dataset", revision=commit, recursive=True))
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
        return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in files}

    def read(self, commit: str, path: str) -> bytes | None:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                return read_small(self.fetch(commit, Path(scratch), path))
            except EntryNotFoundError:
                return None

    def commit(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
               whole: dict[str, Blob]) -> str:
        return self._commit(add, delete, message, parent).oid

    def request(self, verb: str) -> Request | None:
        """The newest open pull request that the same user opened by publishing. Those of others are not touched.

        Args:
            verb: with which its title begins: Publish where people are to review it, Upload where nobody is.
        """
        with explained(self.name):
            user = self.api.whoami()["name"]
            open_ones = [one for one in self.api.get_repo_discussions(
                self.id, repo_type="dataset", author=user, discussion_type="pull_request", discussion_status="open")
                if one.author == user and one.status == "open" and _OUR_TITLE.fullmatch(one.title)
                and one.title.startswith(verb)]
            if not open_ones:
                return None
            newest = max(open_ones, key=lambda one: one.num)
            commit = self.api.repo_info(self.id, repo_type="dataset", revision=f"refs/pr/{newest.num}").sha
        return Request(newest.num, newest.title, newest.url, str(commit))

    def propose(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
                request: Request | None) -> Request:
        """Open a pull request, or commit to the open one and give it the new title.

        Many files or bytes go there in several commits; what people or programs read first comes last.
        """
        for part, removed in parts_of(add, delete):
            if request is None:
                made = self._commit(part, removed, message, parent, pr=True)
                request = Request(int(made.pr_num or 0), message, str(made.pr_url), made.oid)
            elif part or removed:
                made = self._commit(part, removed, message, parent, revision=f"refs/pr/{request.number}")
            else:
                break
            parent = made.oid
        assert request is not None
        if request.title != message:
            with explained(self.name):
                self.api.rename_discussion(self.id, request.number, message, repo_type="dataset")
        return request

    def merge(self, request: Request) -> None:
        with explained(self.name):
            self.api.merge_pull_request(self.id, request.number, repo_type="dataset")

    def _commit(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None, pr: bool = False,
                revision: str | None = None) -> CommitInfo:
        known = self._stored_at(parent)
        copies = [CommitOperationCopy(known[blob.sha256], path, src_revision=parent) for path, blob in add.items()
                  if blob.sha256 in known]
        additions = [Addition(path, blob) for path, blob in add.items() if blob.sha256 not in known]
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [
            *copies, *additions, *(CommitOperationDelete(path) for path in delete)]
        with explained(self.name):
            try:
                self.api.preupload_lfs_files(self.id, additions, repo_type="dataset", revision=revision, create_pr=pr)
            except RuntimeError as error:
                if isinstance(error.__cause__, ReleaseError):  # the client says that an upload failed; this is why
                    raise error.__cause__ from None
                raise
            for addition in additions:
                addition.demand()
            return self.api.create_commit(self.id, operations, commit_message=message, repo_type="dataset",
                                          parent_commit=parent, create_pr=pr, revision=revision)

    def branch(self, name: str) -> str:
        """The newest commit of a branch, which is made from main where there is none."""
        with explained(self.name):
            self.api.create_branch(self.id, branch=name, repo_type="dataset", exist_ok=True)
            return str(self.api.repo_info(self.id, repo_type="dataset", revision=name).sha)

    def commit_to(self, branch: str, add: dict[str, Blob], delete: list[str], message: str, parent: str) -> str:
        return self._commit(add, delete, message, parent, revision=branch).oid

    def _stored_at(self, commit: str | None) -> dict[str, str]:
        """Large files of a commit: checksum to path. The next version often has them under other names."""
        checksums = self.checksums(commit) if commit else {}
        return {checksum: path for path, checksum in checksums.items() if len(checksum) == SHA256_DIGITS}

    def tag(self, version: Version, commit: str) -> None:
        with explained(self.name):
            self.api.create_tag(self.id, tag=f"v{version}", revision=commit, repo_type="dataset")

    def settle(self) -> None:
        """Nothing: main is the newest version already."""

    def fetch(self, commit: str, into: Path, path: str) -> Path:
        with explained(self.name):
            return Path(self.api.hf_hub_download(self.id, path, repo_type="dataset", revision=commit,
                                                 local_dir=into))

    def load_arguments(self, commit: str) -> dict[str, str]:
        return {"path": self.id, "revision": commit}

    def folder(self, commit: str, only: list[str] | None = None) -> Path:
        """The files of a commit, or some of them, from the client's cache where they are there already."""
        with explained(self.name):
            return Path(self.api.snapshot_download(self.id, repo_type="dataset", revision=commit, allow_patterns=only))


class LocalTarget:
    """PATH/v1.0.0, PATH/v1.1.0 and so on, with PATH/latest a link to the highest.

    A commit is a folder that stands under a hidden name until it takes the version's name, in one rename each.
    """

    repo: str | None = None

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, f"local:{path}"

    def is_private(self) -> bool | None:
        return None

    def create(self, private: bool) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def versions(self) -> dict[Version, str]:
        tagged = {parse_tag(entry.name): entry.name for entry in self.path.glob("v*") if (entry / MANIFEST).is_file()}
        return {version: name for version, name in tagged.items() if version}

    def head(self) -> str | None:
        versions = self.versions()
        return versions[max(versions)] if versions else None

    def checksums(self, commit: str) -> dict[str, str]:
        root = self.path / commit
        return {path.relative_to(root).as_posix(): sha256_file(path) for path in root.rglob("*") if path.is_file()}

    def read(self, commit: str, path: str) -> bytes | None:
        file = self.path / commit / path
        return read_small(file) if file.is_file() else None

    def commit(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
               whole: dict[str, Blob]) -> str:
        name = f".staged-{whole[MANIFEST].sha256[:32]}"
        if (self.path / name).is_dir():
            return name
        self._sweep()
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.path))
        try:
            for path, blob in whole.items():
                file = unfinished / path
                file.parent.mkdir(parents=True, exist_ok=True)
                _copy(blob, file)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        unfinished.chmod(0o755)
        try:
            unfinished.rename(self.path / name)
        except OSError as error:
            shutil.rmtree(unfinished)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process made the same just now
                raise
        return name

    def request(self, verb: str) -> Request | None:
        return None

    def merge(self, request: Request) -> None:
        """Nothing: it takes every version in one piece."""

    def propose(self, add: dict[str, Blob], delete: list[str], message: str, parent: str | None,
                request: Request | None) -> Request:
        raise PublishError(f"{self.name} is a folder and takes no pull requests; leave out --pr")

    def tag(self, version: Version, commit: str) -> None:
        try:
            (self.path / commit).rename(self.path / f"v{version}")
        except OSError as error:  # the name is taken: a folder with files in it is never replaced
            shutil.rmtree(self.path / commit, ignore_errors=True)
            raise Moved(f"{self.name} has v{version}") from error

    def settle(self) -> None:
        """Point `latest` at the highest version, in one step."""
        link = self.path / f".latest.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(str(self.head()))
        link.replace(self.path / "latest")

    def fetch(self, commit: str, into: Path, path: str) -> Path:
        return self.path / commit / path

    def load_arguments(self, commit: str) -> dict[str, str]:
        return {"path": str(self.path / commit)}

    def folder(self, commit: str, only: list[str] | None = None) -> Path:
        return self.path / commit

    def _sweep(self) -> None:
        """Remove what killed runs left, once a day has passed over it; a younger one may be at work."""
        day_ago = time.time() - 86400
        for left in self.path.glob(".unfinished-*"):
            with suppress(OSError):
                if left.stat().st_mtime < day_ago:
                    shutil.rmtree(left)


def read_small(file: Path) -> bytes:
    """The bytes of a manifest or a card that anybody may have made; of a larger file, one more than it may have."""
    with file.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _copy(blob: Blob, to: Path) -> None:
    if isinstance(blob.source, bytes):
        to.write_bytes(blob.source)
        return
    with blob.source.open("rb") as file, to.open("wb") as copy:
        reading = Reading(blob.source, file, blob.sha256)
        shutil.copyfileobj(reading, copy, COPIED_BYTES)
        reading.demand()
