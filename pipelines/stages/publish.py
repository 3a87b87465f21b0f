"""Publish: the release folder as a version of a dataset, where the recipe says so.

In: RUN/release. Out: a tagged version on the Hub, or a version's folder under a local path. Nothing happens where the
recipe has no `release.to`.
"""

from typing import Any

from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.pipelines.stages.base import Account, Context, Stage


def settings(recipe: Recipe) -> Any:
    return recipe.release.model_dump(mode="json", include={"to", "version", "private"})


def run(context: Context) -> Account:
    from stepforge.cards.publish import publish  # slow to import, and this stage's alone

    release = context.recipe.release
    if release.to is None:
        return Account.kept(0)
    with context.tell(context.work, f"publish {release.version}", 0):
        done = publish(release_path(context.folder), release.to, release.version, private=release.private)
    return Account(1, 1, facts={"version": done.version, "warnings": list(done.notes)})


STAGE = Stage("publish", 1, ("card",), settings, run)
