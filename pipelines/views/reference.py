"""The shipped recipes, and all options of a recipe, as tables for a terminal."""

from rich.table import Column, Table
from rich.text import Text

from stepforge.pipelines.options.reference import Option, options_of
from stepforge.pipelines.recipe import Recipe, shipped_recipes


def recipes_table() -> Table:
    """The shipped recipes, and the first sentence that each says of itself."""
    table = Table.grid(Column("recipe", no_wrap=True), Column("purpose"), padding=(0, 2, 0, 0))
    for name, purpose in shipped_recipes().items():
        table.add_row(Text(name, style="bold"), Text(purpose))
    return table


def options_lines() -> str:
    """One line for each option, for files and pipes: where it stands, its default, what it does; tabs between."""
    return "\n".join("\t".join([option.path, "needed" if option.default is None else option.default, _use(option)])
                     for option in options_of(Recipe))


def options_table() -> Table:
    """One row for each option, for a terminal: where it stands, its default, and what it does."""
    table = Table(Column("option", overflow="fold", ratio=3), Column("default", overflow="fold", ratio=2),
                  Column("what it does", overflow="fold", ratio=5), expand=True)
    for option in options_of(Recipe):
        default = Text("needed", style="yellow") if option.default is None else Text(option.default)
        table.add_row(Text(option.path, style="bold"), default, Text(_use(option)))
    return table


def _use(option: Option) -> str:
    return f"{option.sentence} ({option.allowed})"
