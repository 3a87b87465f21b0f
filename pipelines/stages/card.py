"""Card: the README of the release and its plots, from the release folder alone.

In: RUN/release. Out: RUN/release/README.md and RUN/release/assets.
"""

from typing import Any

from stepforge.builders.parquet import write_rows
from stepforge.builders.tables import DROPS
from stepforge.cards.dataset_card import write_card
from stepforge.cards.plots import draw_plots
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage


def settings(recipe: Recipe) -> Any:
    return [recipe.name, recipe.release.to]


def run(context: Context) -> Account:
    with context.tell(context.work, "card", 0):
        plots = draw_plots(context.folder / "release")
        write_card(context.folder / "release")
    write_rows(context.drops("card"), [], DROPS.schema)
    return Account(len(plots) + 1, len(plots) + 1)


STAGE = Stage("card", 1, ("build",), settings, run)
