"""Problems from the user's own files, with a mapping from our columns to theirs.

    {"q": "How many ...?", "gold": 42}   with columns {problem: q, answer: gold}
"""

from collections.abc import Iterator

from stepforge.builders.sources.records import Drop, Record, read_records, require_columns
from stepforge.builders.tables import content_id


def load(paths: list[str], columns: dict[str, str], split: str, license: str) -> Iterator[dict | Drop]:
    """Rows of the table `problems` but for `problem_id`, or what was dropped and why.

    Raises:
        SourceError: a file cannot be read, or its first row lacks a column that the mapping names.
    """
    checked = False
    for record in read_records(paths):
        if isinstance(record, Drop):
            yield record
            continue
        if not checked:
            require_columns(record, columns.values())
            checked = True
        yield problem_row(record, columns, source="files", split=split, license=license)


def problem_row(record: Record, columns: dict[str, str], source: str, split: str, license: str) -> dict | Drop:
    """A row of the table `problems` but for its id, from a record with the source's own column names."""
    found = {ours: _as_text(record.values.get(theirs)) for ours, theirs in columns.items()}
    for needed in ("problem", "answer"):
        if not found.get(needed):
            return Drop(record.where, f"no_{needed}", f"the column {columns[needed]!r} is empty or not text")
    row = dict.fromkeys(("reference_solution", "subject", "level", "generator"))
    row |= {"source": source, "source_id": record.where, "split": split, "license": license}
    row |= {name: value for name, value in found.items() if value is not None}
    return {"group_id": group_of(str(row["problem"]))} | row


def group_of(problem: str) -> str:
    """Group of a problem that names none: problems that differ in numbers, case and spacing alone share it."""
    masked = "".join("#" if character.isdigit() else character for character in problem.casefold())
    return content_id(" ".join(masked.split()))[:16]


def _as_text(value: object) -> str | None:
    """Text of a cell; null for what is neither text nor a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None
