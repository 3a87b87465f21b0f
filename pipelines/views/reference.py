"""All options of a recipe as a table for a terminal."""

from rich.table import Column, Table
from rich.text import Text

from stepforge.pipelines.options.reference import options_of
from stepforge.pipelines.recipe import Recipe


def options_table() -> Table:
    """One row for each option: where it stands, its default, and what it does."""
    table = Table(Column("option", overflow="fold", min_width=24), Column("default", overflow="fold"), "what it does")
    for option in options_of(Recipe):
        default = Text("needed", style="yellow") if option.default is None else Text(option.default)
        table.add_row(Text(option.path, style="bold"), default, Text(f"{option.sentence} ({option.allowed})"))
    return table
