"""Publish: the release folder as a version of a dataset, where the recipe says so.

In: RUN/release. Out: a tagged version on the Hub, or a version's folder under a local path. Nothing happens where the
recipe has no `release.to`.
"""

from pathlib import Path
from typing import Any

from stepforge.builders.release import ReleaseError, read_manifest
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.pipelines.stages.base import Account, Context, Stage
from stepforge.pipelines.stages.build import described


def settings(recipe: Recipe) -> Any:
    return recipe.release.model_dump(mode="json", include={"to", "version", "private"})


def run(context: Context) -> Account:
    from stepforge.cards.publish import publish  # slow to import, and this stage's alone

    release = context.recipe.release
    if release.to is None:
        return Account.kept(0)
    with context.tell(context.work, f"publish {release.version}", 0):
        done = publish(release_path(context.folder), release.to, _number(release), private=release.private)
    return Account(1, 1, facts={"version": done.version, "warnings": list(done.notes)})


def foresee(recipe: Recipe, folder: Path, builds: bool) -> str | None:
    """Why publishing would fail: the recipe names a version that the target has, made with other settings.

    Args:
        builds: whether the release would be built again, from this recipe.

    Returns:
        The reason with the settings that differ and the number that is free; None where nothing is known against it,
        or where the target is out of reach.
    """
    release = recipe.release
    if release.to is None or _number(release) is None:
        return None
    from stepforge.cards.address import PublishError
    from stepforge.cards.settings import changed_settings
    from stepforge.cards.versions import manifest_of

    try:
        published, newest = manifest_of(release.to, release.version)
        own = {"recipe": described(recipe)} if builds else read_manifest(release_path(folder))
    except (PublishError, ReleaseError):
        return None
    if published is None or not (settings := changed_settings(published, own)):
        return None
    return (f"{release.to} has v{release.version}, made with other settings: {', '.join(settings)}. A published "
            f"version is never changed: set `release.version: auto`, or a number above {newest}")


def _number(release: ReleaseOptions) -> str | None:
    return None if release.version == "auto" else release.version


STAGE = Stage("publish", 1, ("card",), settings, run)
