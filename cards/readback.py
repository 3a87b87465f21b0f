"""What a commit holds, compared with what was to be published, before it gets the name of a version.

In: a target, the files of a version, a commit. Out: nothing, or why the commit must not be tagged.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from stepforge.builders.release import sha256_file
from stepforge.builders.tables import content_id
from stepforge.cards.address import PublishError
from stepforge.cards.bundle import Blob, Bundle
from stepforge.cards.failures import explained
from stepforge.cards.targets import Target

SAMPLE_BYTES, SAMPLE_SHARE = 2**24, 0.005  # of a version that are read back


def verify(target: Target, bundle: Bundle, commit: str) -> None:
    """Compare the checksum of every file in the commit, read a sample back, and load every config as a user would.

    Bytes come back of all files of a small release; of a large one the target's own checksums have to do.

    Raises:
        PublishError: the commit holds something else.
    """
    there = target.checksums(commit)
    if missing := sorted(bundle.files.keys() - there.keys()):
        raise PublishError(f"commit {commit} at {target.name} lacks {missing[:3]}, which the manifest lists; "
                           "a .gitignore there may keep them out. Nothing was tagged")
    for path, blob in bundle.files.items():
        if not blob.is_at(there[path]):
            raise PublishError(f"{path} in commit {commit} at {target.name} has checksum {there[path]} instead of "
                               f"{blob.sha256}. Nothing was tagged; run the command again")
    for path in _sample(bundle.files, commit):
        with tempfile.TemporaryDirectory() as scratch:
            checksum = sha256_file(target.fetch(commit, Path(scratch), path))
        if checksum != bundle.files[path].sha256:
            raise PublishError(f"{path} in commit {commit} at {target.name} reads back with checksum {checksum} "
                               f"instead of {bundle.files[path].sha256}. Nothing was tagged; run the command again")
    with explained(target.name):
        load_every_config(target.load_arguments(commit), bundle.manifest)


def _sample(files: dict[str, Blob], commit: str) -> Iterator[str]:
    """The files to read back, drawn by the commit's id: all of a small release, a share of a large one."""
    left = max(SAMPLE_BYTES, SAMPLE_SHARE * sum(blob.size for blob in files.values()))
    for path in sorted(files, key=lambda path: content_id(commit, path)):
        if files[path].size <= left:
            left -= files[path].size
            yield path


def load_every_config(where: dict[str, str], manifest: dict) -> None:
    """Open every config and split with `datasets`, streaming, and compare the columns with the manifest's.

    Args:
        where: arguments of `load_dataset` that name the dataset, and its revision on the Hub.
    """
    from datasets import load_dataset  # slow to import, and the command line need not wait for it

    for config, facts in manifest["configs"].items():
        splits = load_dataset(name=config, streaming=True, **where)
        filled = [split for split, count in facts["rows"].items() if count]
        if set(splits) != set(filled):
            raise PublishError(f"config {config} loads with splits {list(splits)} instead of {filled}")
        for rows in splits.values():
            columns = list(next(iter(rows)))
            if columns != list(facts["columns"]):
                raise PublishError(f"config {config} loads with columns {columns} instead of {list(facts['columns'])}")
