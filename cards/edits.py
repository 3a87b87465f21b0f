"""What people edited in a card, kept when the next version writes the card again: a three-way merge.

In go what the tool wrote last time (stored in the manifest), the card that stands there now, and the card that the
tool would write. Out comes one card with a note for each edit. Values that people added, changed or removed stay.
Values that only the files decide, such as row counts, are the tool's. Lines that people wrote into the tool's own text
move to the section that is theirs. A license that both sides changed stops the publication: people must choose.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import yaml

from stepforge.builders.errors import UserError

OWN_BEGIN = "<!-- own section: begin. What stands between these two lines stays when the card is made again. -->"
OWN_END = "<!-- own section: end -->"
FACTS = {"data_files", "features", "splits", "download_size", "dataset_size"}  # decided by the files alone
LICENSE = ("license", "license_name", "license_link")  # one fact in three keys
NAMED_LISTS = ("configs", "dataset_info")              # lists with one entry for each config
MOST_BYTES, MOST_LINES = 2_000_000, 20_000             # of a card that is merged
DEEPEST = 100                                          # a value within values of the header
_ABSENT: Any = object()
_REMOVED: Any = object()  # what a key held that people put on a card and took away again


class EditError(UserError):
    """A card cannot be merged: people must decide, or mend it where it stands."""


class Card(NamedTuple):
    """A card in its parts. `comments` are lines of the header that only people read."""

    header: dict[str, Any]
    body: str
    own: str
    comments: str = ""

    def text(self) -> str:
        own = f"{OWN_BEGIN}\n{self.own.strip()}\n{OWN_END}\n"
        return f"---\n{self.comments}{_yaml(self.header)}---\n\n{self.body.strip()}\n\n{own}"


class Written(NamedTuple):
    """What the tool wrote, as the manifest keeps it: the header's YAML, and marks of the body's lines and of the own
    section. `foreign` names the keys of people that published headers have held: a release folder keeps them, too."""

    header: str = ""
    lines: str = ""
    own: str = ""
    foreign: Sequence[str] = ()

    @classmethod
    def of(cls, card: Card) -> "Written":
        return cls(_yaml(card.header), " ".join(_marks(card.body.strip())), _mark(card.own))


class Merged(NamedTuple):
    """A card that holds everybody's changes, and a sentence for each of people's."""

    card: Card
    notes: list[str]


def parse_card(text: str, where: str) -> Card:
    """The parts of a card that somebody may have edited.

    Raises:
        EditError: it is too large to merge, or its header is no YAML mapping; the message names `where` it stands.
    """
    if len(text) > MOST_BYTES or text.count("\n") > MOST_LINES:
        raise EditError(f"{where} is larger than {MOST_BYTES:,} bytes or {MOST_LINES:,} lines, so edits in it cannot "
                        "be kept; shorten it there")
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    header: list[str] = []
    if lines[0].rstrip() == "---":
        end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
        if not end:
            raise EditError(f"the header of {where} has no closing line `---`; add it there")
        header, lines = lines[1:end], lines[end + 1:]
    body = "\n".join(["", *lines])
    own = own_section(body)
    begin, end = _section(body)
    if begin >= 0:
        body = body[:begin] + body[end + len(OWN_END) + 1:]
    comments = "".join(f"{line}\n" for line in header if line.startswith("#"))
    return Card(_mapping("\n".join(header), where), body.strip("\n"), own, comments)


def own_section(card: str) -> str:
    """What the user wrote between the markers. It is the last section, so the last markers count."""
    begin, end = _section(card)
    return card[begin + len(OWN_BEGIN) + 2:end].strip() if begin >= 0 else ""


def _section(card: str) -> tuple[int, int]:
    """Where the lines of both markers begin, each with the line break before it; -1 where they are not there."""
    end = card.rfind(f"\n{OWN_END}")
    begin = card.rfind(f"\n{OWN_BEGIN}\n", 0, max(end, 0) + 1)
    return (begin, end) if 0 <= begin < end else (-1, -1)


def merge(before: Written, there: Card, ours: Card) -> Merged:
    """The card `ours` with what people changed in `there` since the tool wrote `before`.

    Merging again what a merge gave changes nothing, so that a publication that was stopped finds its own commit.

    Raises:
        EditError: both sides changed the license.
    """
    notes: list[str] = []
    written = _mapping(before.header, "the header in the manifest")
    _decide_license(written, there.header, ours.header)
    written |= {key: _REMOVED for key in before.foreign if key not in there.header}
    merged = _merge(_packed(written), _packed(there.header), _packed(ours.header), (), notes)
    own = _merge_own(before.own, there.own, ours.own, notes)
    if added := _lines_of_people(before.lines.split(" ") if before.lines else [], there.body):
        own = f"{own}\n\n{added}".strip()
        notes.append(f"{added.count(chr(10)) + 1} lines that people wrote outside the own section moved into it")
    return Merged(Card(_unpacked(merged), ours.body, own, there.comments), notes)


def _yaml(header: dict[str, Any]) -> str:
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=1000)


def _mapping(text: str, where: str) -> dict[str, Any]:
    try:
        _refuse(yaml.parse(text, yaml.SafeLoader), where)
        header = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise EditError(f"the header of {where} is not valid YAML, so edits in it cannot be kept; correct it there: "
                        f"{' '.join(str(error).split())[:300]}") from error
    if not isinstance(header or {}, dict):
        raise EditError(f"the header of {where} must be a mapping of keys to values; correct it there")
    return header or {}


def _refuse(events: Iterable[yaml.Event], where: str) -> None:
    """Aliases may grow without bounds, and the time for reading a depth grows with its square."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise EditError(f"the header of {where} uses YAML aliases, which are not supported; write out the values")
        if depth > DEEPEST:
            raise EditError(f"the header of {where} nests its values deeper than {DEEPEST}; correct it there")


def _decide_license(before: dict, there: dict, ours: dict) -> None:
    was, stands, would = ({key: header[key] for key in LICENSE if key in header} for header in (before, there, ours))
    if stands not in (was, would) and would != was:
        raise EditError(f"people set the license on the card to {_shown(stands)}, and the release now says "
                        f"{_shown(would)} (before: {_shown(was)}); set `release.license` in the recipe to the one "
                        "that holds, or write it on the card")


def _packed(header: dict) -> dict:
    """The header with its license as one value, and lists of configs as mappings by name."""
    license: Any = ("license", {key: header[key] for key in LICENSE if key in header})
    packed: dict[str, Any] = {"license" if key in LICENSE else key: license if key in LICENSE else value
              for key, value in header.items()}
    for key in NAMED_LISTS:
        entries: Any = [header[key]] if isinstance(header.get(key), dict) else header.get(key)
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            packed[key] = {str(entry.get("config_name", "default")): entry for entry in entries}
    return packed


def _unpacked(packed: dict) -> dict:
    header: dict[str, Any] = {}
    for key, value in packed.items():
        if key == "license":
            header |= value[1]
        else:
            header[key] = list(value.values()) if key in NAMED_LISTS and isinstance(value, dict) else value
    return header


def _merge(before: Any, there: Any, ours: Any, path: tuple[str, ...], notes: list[str]) -> Any:
    """One value of three, `_ABSENT` where there is none. `path` names it in notes."""
    if there == ours or there == before:
        return ours
    entry = len(path) == 2 and path[0] in NAMED_LISTS
    if (path and path[-1] in FACTS and ours is not _ABSENT) or (entry and _ABSENT in (there, ours) and
                                                                 before is not _ABSENT):
        notes.append(f"`{'.'.join(path)}` was edited on the card and is written again: the files decide it")
        return ours
    if isinstance(there, dict) and isinstance(ours, dict):
        was = before if isinstance(before, dict) else {}
        values = {key: _merge(was.get(key, _ABSENT), there.get(key, _ABSENT), ours.get(key, _ABSENT),
                              (*path, str(key)), notes) for key in [*ours, *(key for key in there if key not in ours)]}
        return {key: value for key, value in values.items() if value is not _ABSENT}
    if isinstance(there, list) and isinstance(ours, list):
        old = before if isinstance(before, list) else []
        added = [value for value in there if value not in old and value not in ours]
        removed = [value for value in old if value not in there and value in ours]
        notes += [f"`{'.'.join(path)}`: {_shown(value)}, which people added, stays" for value in added]
        notes += [f"`{'.'.join(path)}`: {_shown(value)}, which people removed, stays away" for value in removed]
        return [value for value in ours if value not in removed] + added
    would = "" if ours is _ABSENT or ours == before else f"; the release would say {_shown(ours)}"
    what = "which people removed, stays away" if there is _ABSENT else f"which people set to {_shown(there)}, stays"
    notes.append(f"`{'.'.join(path)}`, {what}{would}")
    return there


def _merge_own(before: str, there: str, ours: str, notes: list[str]) -> str:
    """The own section: whichever side changed it, and both texts where both did."""
    if not there or not ours or there == ours:
        return there or ours
    if _mark(ours) == before or ours in there:
        return there
    if _mark(there) == before or there in ours:
        return ours
    notes.append("the own section differs on the card and in the folder; it now holds both texts")
    return f"{there}\n\n{ours}"


def _lines_of_people(before: list[str], body: str) -> str:
    """Lines of `body` that are not among those that the tool wrote, in their order."""
    lines = body.strip().split("\n")
    matcher = SequenceMatcher(None, before, [_mark(line.rstrip()) for line in lines], autojunk=False)
    added = ["\n".join(lines[begin:end]).strip("\n") for kind, _, _, begin, end in matcher.get_opcodes()
             if kind in ("insert", "replace")]
    return "\n\n".join(block for block in added if block.strip())


def _marks(text: str) -> list[str]:
    return [_mark(line.rstrip()) for line in text.split("\n")]


def _mark(text: str) -> str:
    """A short name of a text: edits are found by comparing marks, and the manifest need not hold the text twice."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]


def _shown(value: Any) -> str:
    """A value in a note, at most 120 characters; who shows notes escapes them."""
    if isinstance(value, tuple):
        return _shown(value[1])
    if isinstance(value, dict) and set(value) <= set(LICENSE):
        value = " ".join(map(str, value.values())) or "none"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:120]}…"
