"""Where a release goes, as a recipe or a command names it: `hub:ORG/NAME` or `local:PATH`."""

import re
from typing import Literal

from stepforge.builders.errors import UserError
from stepforge.cards.semver import VersionError, parse_version

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/(?!.*(?:--|\.\.))[\w.-]{1,96}(?<![.-])(?<!\.git)")


class PublishError(UserError):
    """A version could not be published; the message says what stands at the target and what to do."""


def is_repository(name: str) -> bool:
    """Whether a repository on the Hub may be called so: ORG/NAME."""
    return _REPO.fullmatch(name) is not None


def read_address(to: str) -> tuple[Literal["hub", "local"], str]:
    """Which kind of place it is, and the repository or the path; a bare ORG/NAME is one on the Hub.

    Raises:
        PublishError: another form, or a name that the Hub refuses.
    """
    kind, _, where = to.partition(":")
    if kind == "local" and where:
        return "local", where
    repo = where if kind == "hub" else to
    if not is_repository(repo):
        raise PublishError(f"{to!r} is not a target; allowed are hub:ORG/NAME and local:PATH. A name has letters, "
                           "digits, `.`, `_` and `-`, no `--` and no `..`, and ends with no `.`, `-` or `.git`")
    return "hub", repo


def read_version_address(address: str) -> tuple[str, str]:
    """The target and the version that an address names.

    Raises:
        PublishError: it names no target, or no version.
    """
    to, _, version = address.rpartition("@")
    try:
        parse_version(version)
    except VersionError:
        raise PublishError(f"{address!r} names no version; allowed are hub:ORG/NAME@MAJOR.MINOR.PATCH and "
                           "local:PATH@MAJOR.MINOR.PATCH") from None
    read_address(to)
    return to, version
