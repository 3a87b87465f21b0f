"""Unfinished tables of a run on a branch of the dataset's repository, so that a team can use what is there already.

In: a target, a branch, and Parquet files by table. Out: the branch with these files, one config per table, and a card
that says that they are unfinished. A file is named by its checksum: one that is there already is not sent again, and
no row is there twice because its file got another name. Nothing here touches `main`, tags or versions.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from stepforge.builders.files import replacing
from stepforge.builders.parquet import count_rows
from stepforge.builders.release import sha256_file
from stepforge.cards.address import PublishError
from stepforge.cards.bundle import Blob
from stepforge.cards.dataset_card import CARD
from stepforge.cards.targets import HubTarget, LocalTarget, Target, open_target
from stepforge.cards.upload import parts_of

_KEPT = (".gitattributes",)  # which the Hub makes
Known = dict[tuple[int, ...], str]  # checksums of files by device, inode, size and time of the last change


class Pushed(NamedTuple):
    """What a push sent and removed, and how many files the branch has."""

    sent: int
    removed: int
    files: int


def branch_of(name: str) -> str:
    """The branch of a run, from the recipe's name. git refuses `..`, and `.` or `.lock` at the end."""
    return "checkpoint-" + re.sub(r"\.(?=\.|$|lock$)", "-", name)


def push(to: str, name: str, tables: Mapping[str, list[Path]], private: bool | None, known: Known) -> Pushed:
    """Make the branch of the run `name` hold these files of tables, and nothing else.

    Args:
        to: `hub:ORG/NAME`, or `local:PATH` for the folder PATH/BRANCH.
        private: whether the repository on the Hub is private, as for `publish`; a public one must be asked for.
        known: checksums of files that an earlier push has read; this one adds to them.

    Raises:
        PublishError: the target is out of reach, refuses the token, or has another visibility.
    """
    files = {f"{table}/{sha256[:32]}.parquet": Blob(path, sha256, path.stat().st_size)
             for table, paths in tables.items() for path in paths for sha256 in [_checksum(path, known)]}
    rows = {table: sum(map(count_rows, paths)) for table, paths in tables.items()}
    files[CARD] = Blob.of(_card(name, rows, sorted(files)).encode())
    target = open_target(to)
    if isinstance(target, LocalTarget):
        return _push_folder(target.path / branch_of(name), files)
    assert isinstance(target, HubTarget)
    return _push_branch(target, branch_of(name), files, private)


def demand_place(target: Target, private: bool | None) -> bool:
    """Whether there is something at the target already.

    Raises:
        PublishError: it is public and `private` does not ask for that, or the other way round.
    """
    is_private = target.is_private()
    if is_private is False and private is not False:
        raise PublishError(f"{target.name} is public, so everybody would see rows that are unfinished. Name a private "
                           "repository in `release.checkpoint`, or set `release.private: false` to allow it")
    if is_private and private is False:
        raise PublishError(f"{target.name} is private, and `release.private: false` asks for a public repository; a "
                           "checkpoint never changes that")
    return is_private is not None


def _checksum(path: Path, known: Known) -> str:
    """The sha256 of a file, which is read once: files of tables are replaced, and never written into."""
    facts = path.stat()
    key = facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
    if key not in known:
        known[key] = sha256_file(path)
    return known[key]


def _push_branch(target: HubTarget, branch: str, files: dict[str, Blob], private: bool | None) -> Pushed:
    if not demand_place(target, private):
        target.create(private is not False)
    head = target.branch(branch)
    there = target.checksums(head)
    add = {path: blob for path, blob in files.items() if not blob.is_at(there.get(path))}
    delete = sorted(there.keys() - files.keys() - set(_KEPT))
    if add or delete:
        for part, removed in parts_of(add, delete):
            head = target.commit_to(branch, part, removed, f"Checkpoint of {len(files) - 1} files", head)
    return Pushed(len(add), len(delete), len(files))


def _push_folder(folder: Path, files: dict[str, Blob]) -> Pushed:
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    add = [path for path in files if path not in there or path == CARD]
    for path in add:
        source = files[path].source
        with replacing(folder / path) as temporary:
            temporary.write_bytes(source) if isinstance(source, bytes) else shutil.copyfile(source, temporary)
    delete = there - files.keys()
    for path in delete:
        (folder / path).unlink(missing_ok=True)
    return Pushed(len(add), len(delete), len(files))


def _card(name: str, rows: Mapping[str, int], paths: list[str]) -> str:
    """The card of an unfinished run. The name has letters, digits and `._-` alone, the tables are the tool's own.

    It names every file: where a push takes several commits, nobody loads old and new files together.
    """
    header = {"configs": [{"config_name": table, "data_files": [path for path in paths if path.split("/")[0] == table]}
                          for table in rows]}
    counts = "".join(f"| {table} | {count:,} |\n" for table, count in rows.items())
    return (f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n# {name}: unfinished\n\nThis branch holds what a run "
            "has finished so far. Rows are added and may still change or leave: nothing here is deduplicated, split "
            f"or checked as a version is. Use a version's tag for anything that lasts.\n\n| table | rows |\n"
            f"| --- | --- |\n{counts}")
