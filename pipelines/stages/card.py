"""Card: the README of the release and its plots, from the release folder alone.

In: RUN/release. Out: RUN/release/README.md and RUN/release/assets.
"""

from typing import Any

from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.pipelines.stages.base import Account, Context, Stage


def settings(recipe: Recipe) -> Any:
    return [recipe.name, recipe.release.to]


def run(context: Context) -> Account:
    from stepforge.cards.dataset_card import write_card  # slow to import, and this stage's alone
    from stepforge.cards.plots import draw_plots

    with context.tell(context.work, "card", 0):
        plots = draw_plots(release_path(context.folder))
        write_card(release_path(context.folder))
    return Account.kept(len(plots) + 1)


STAGE = Stage("card", 5, ("build",), settings, run)
