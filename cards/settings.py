"""Which settings differ between two releases, by their manifests.

In go two manifests, of which the older may be anybody's; out come sentences such as "`generators.0.samples` (8 before,
16 now)". What only says where a release goes is left out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

PLACES = {"release.to", "release.checkpoint", "release.checkpoint_minutes", "release.version", "release.private",
          "release.allow_failed"}
_MOST = 5
_ABSENT = object()


class Change(NamedTuple):
    """A value that differs between two trees of plain data, by the keys that lead to it."""

    path: tuple[str | int, ...]
    before: Any
    after: Any

    @property
    def gone(self) -> bool:
        """Whether there is no such value now."""
        return self.after is _ABSENT

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path))

    @property
    def words(self) -> str:
        return f"`{self.name}` ({_shown(self.before)} before, {_shown(self.after)} now)"


def changed_settings(before: dict, after: dict) -> list[str]:
    """What changed from one manifest to the next: options of the recipe, else versions of stages and packages."""
    differences = [change for change in changes(before.get("recipe"), after.get("recipe"))
                   if change.name not in PLACES]
    if not differences and "stages" in after:
        differences = [*changes(_versions(before), _versions(after)),
                       *changes(before.get("packages"), after.get("packages"))]
    changed = [change.words for change in differences]
    more = [f"and {len(changed) - _MOST} more"] if len(changed) > _MOST else []
    return changed[:_MOST] + more


def _versions(manifest: dict) -> dict[str, Any]:
    stages = manifest.get("stages")
    return {f"stage {name}": facts.get("version") for name, facts in
            (stages.items() if isinstance(stages, dict) else ()) if isinstance(facts, dict)}


def changes(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """The values that differ; a mapping or a list that only one side has is one value."""
    if before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from changes(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key))
    else:
        yield Change(path, before, after)


def _shown(value: Any) -> str:
    text = "absent" if value is _ABSENT else "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
