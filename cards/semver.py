"""Version numbers of a dataset: MAJOR.MINOR.PATCH, and what a change of the data demands of the next one.

A break of the schema (a config, a column or a column's type gone) is major, added rows, columns or configs are minor,
corrections (rows changed or removed) are patches. The rule follows semver.org, read for data.
"""

import re
from typing import NamedTuple

from stepforge.builders.errors import UserError

_FORM = re.compile(r"v?(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")


class VersionError(UserError):
    """A version number has another form, or is lower than the change demands."""


class Version(NamedTuple):
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def next(self, kind: str) -> "Version":
        """The next version for a change of `kind` (major, minor or patch)."""
        if kind == "major":
            return Version(self.major + 1, 0, 0)
        return Version(self.major, self.minor + 1, 0) if kind == "minor" else self._replace(patch=self.patch + 1)


def parse_version(text: str) -> Version:
    """The version in `1.2.3` or `v1.2.3`.

    Raises:
        VersionError: another form.
    """
    version = parse_tag(text)
    if version is None:
        raise VersionError(f"version {text!r}: allowed is MAJOR.MINOR.PATCH, as in 1.2.0")
    return version


def parse_tag(text: str) -> Version | None:
    """The version that a tag names, None for a tag that names none."""
    match = _FORM.fullmatch(text)
    return Version(*map(int, match.groups())) if match else None
