"""Tables that fit a terminal: columns that say nothing are left out."""

from rich.table import Table
from rich.text import Text


def lean(table: Table, *constant: str) -> Table:
    """The table without its empty columns; a column of `constant` that holds one value goes into the title."""
    cells = {id(column): [str(cell) for cell in column.cells] for column in table.columns}
    same = [column for column in table.columns if column.header in constant and len(set(cells[id(column)])) == 1]
    kept = [column for column in table.columns if any(cells[id(column)]) and column not in same]
    title = ", ".join(filter(None, [str(table.title or ""), *(cells[id(column)][0] for column in same)]))
    made = Table(*(column.copy() for column in kept), title=Text(title) if title else None, box=table.box,
                 collapse_padding=table.collapse_padding, pad_edge=table.pad_edge)
    for row in zip(*(column.cells for column in kept), strict=True):
        made.add_row(*row)
    return made
