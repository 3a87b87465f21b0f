"""Files that are one object of JSON: one problem a file, as MATH keeps them, or a table that is written by columns.

An object goes in; whether it is a row, or why it is none, comes out.
"""

from typing import Any

BY_COLUMNS = ("a table written column by column; write its rows, as `df.to_json(path, orient='records', lines=True)` "
              "does")


def is_by_columns(values: Any) -> bool:
    """Whether an object is a whole table: lists of one length, or objects with the same numbers as keys, and no more.
    """
    if not isinstance(values, dict) or len(values) < 2:
        return False
    columns = list(values.values())
    if all(isinstance(column, list) for column in columns):
        return len(columns[0]) > 1 and len({len(column) for column in columns}) == 1
    return all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns) \
        and bool(columns[0]) and all(key.isdigit() for key in columns[0])


def lists_of_rows(values: Any) -> list[str]:
    """The keys of an object whose values are lists of objects, which may be the rows."""
    return [key for key, value in values.items() if isinstance(value, list) and value and isinstance(value[0], dict)] \
        if isinstance(values, dict) else []
