"""Why a stage runs again: which options of the recipe changed since it ran, from what to what.

In: the recipe with which a stage ran, which the run's folder keeps, and the one of now. Out: one sentence for `plan`.
An option counts for a stage where its new value alone gives the stage other settings, so nothing here knows which
stage reads which option.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepforge.builders.errors import UserError
from stepforge.cards.settings import Change, changes
from stepforge.pipelines.recipe import Recipe, load_recipe
from stepforge.pipelines.run_folder import ran_with_path
from stepforge.pipelines.stages.base import Stage

UNKNOWN = "its settings or inputs changed"
_MOST = 4        # options that are named
_MOST_TRIED = 40  # changes that are looked at


def why_changed(stage: Stage, version: int | None, recipe: Recipe, folder: Path, again: Sequence[str]) -> str:
    """What changed for a stage since it ran as `version`; `again` names stages before it that run again."""
    parts = [] if version == stage.version else [f"its version is {stage.version}, it ran as {version}"]
    if options := _changed_options(stage, recipe, folder):
        more = f" and {len(options) - _MOST} more" if len(options) > _MOST else ""
        parts.append(f"changed: {', '.join(options[:_MOST])}{more}")
    if again:
        parts.append(f"its input changed: {', '.join(again)}")
    return "; ".join(parts) or UNKNOWN


def _changed_options(stage: Stage, recipe: Recipe, folder: Path) -> list[str]:
    try:
        before = load_recipe(ran_with_path(folder, stage.name))
        settings = stage.settings(before)
    except UserError:  # it ran before recipes were kept, or named files that are gone
        return []
    old, new = before.model_dump(mode="json"), recipe.model_dump(mode="json")
    return [change.words for change in list(changes(old, new))[:_MOST_TRIED] if _counts(stage, old, change, settings)]


def _counts(stage: Stage, old: dict[str, Any], change: Change, settings: Any) -> bool:
    """Whether the stage's settings differ by this change alone; true where it makes no recipe alone."""
    *above, last = change.path
    options = copy.deepcopy(old)
    target: Any = options
    for key in above:
        target = target[key]
    if change.gone:
        del target[last]
    elif isinstance(target, list) and last not in range(len(target)):
        target.append(change.after)
    else:
        target[last] = change.after
    try:
        return bool(stage.settings(Recipe.model_validate(options)) != settings)
    except (ValidationError, UserError):
        return True
