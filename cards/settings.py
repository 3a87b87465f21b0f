"""Which settings differ between two releases, by their manifests.

In go two manifests, of which the older may be anybody's; out come sentences such as "`generators.0.samples` (8 before,
16 now)". What only says where a release goes is left out.
"""

from collections.abc import Iterator
from typing import Any

PLACES = {"release.to", "release.version", "release.private", "release.allow_failed"}
_MOST = 5
_ABSENT = object()


def changed_settings(before: dict, after: dict) -> list[str]:
    """What changed from one manifest to the next: options of the recipe, else versions of stages and packages."""
    recipes = _changed(before.get("recipe"), after.get("recipe"), "")
    changed = [name for name in recipes if name.split(" ")[0].strip("`") not in PLACES]
    if not changed and "stages" in after:
        changed = [*_changed(_versions(before), _versions(after), ""),
                   *_changed(before.get("packages"), after.get("packages"), "")]
    more = [f"and {len(changed) - _MOST} more"] if len(changed) > _MOST else []
    return changed[:_MOST] + more


def _versions(manifest: dict) -> dict[str, Any]:
    stages = manifest.get("stages")
    return {f"stage {name}": facts.get("version") for name, facts in
            (stages.items() if isinstance(stages, dict) else ()) if isinstance(facts, dict)}


def _changed(before: Any, after: Any, path: str) -> list[str]:
    return list(_walk(before, after, path))


def _walk(before: Any, after: Any, path: str) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from _walk(before.get(key, _ABSENT), after.get(key, _ABSENT), f"{path}.{key}".lstrip("."))
    else:
        yield f"`{path}` ({_shown(before)} before, {_shown(after)} now)"


def _shown(value: Any) -> str:
    text = "absent" if value is _ABSENT else "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
