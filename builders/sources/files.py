"""Problems from rows of somebody's data set, with a mapping from our columns to theirs (mapping.py).

    {"prompt": [{"role": "user", "content": "How many ...?"}], "reward_model": {"ground_truth": "42"}}
        with columns {problem: "prompt[0].content", answer: reward_model.ground_truth}
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from stepforge.builders.outcomes import NO_GOLD
from stepforge.builders.sources.mapping import Column, map_rows, require_roots
from stepforge.builders.sources.records import BATCH_ROWS, Drop, Record
from stepforge.builders.tables import content_id

_MARKED = re.compile(r"(.*\n)?[ \t]*####[ \t]*([^\n#]+)", re.DOTALL).fullmatch


def load(records: Iterable[Record | Drop], columns: Mapping[str, str], source: str, split: str, license: str,
         without_gold: bool = False) -> Iterator[dict | Drop]:
    """Rows of the table `problems` but for `problem_id`, or what was dropped and why.

    `without_gold`: rows without an answer are kept, their answer null.

    Raises:
        SourceError: a source cannot be read, or none of its first rows has a column that the mapping names.
    """
    mapping = {ours: Column(theirs) for ours, theirs in columns.items()}
    for batch in mapped_batches(records, mapping):
        for record, texts in batch:
            if isinstance(record, Drop):
                yield record
                continue
            many = [name for name, column_texts in texts.items() if len(column_texts or ()) > 1]
            if many:
                yield Drop(record.where, "many_values", f"{columns[many[0]]!r} holds {len(texts[many[0]])} values "
                           f"where one is meant for {many[0]}; name one of them, as in {columns[many[0]]}[0]")
                continue
            values = {name: column_texts[0] if column_texts else None for name, column_texts in texts.items()}
            row = problem_row(record.where, behind_mark(values), source, split, license, without_gold)
            yield _with_reason(row, record, mapping) if isinstance(row, Drop) else row


def _with_reason(drop: Drop, record: Record, mapping: Mapping[str, Column]) -> Drop:
    """The drop of a row whose problem or answer is empty, with why it is; any other as it is."""
    column = mapping.get("problem" if drop.reason == "no_problem" else "answer")
    why = column.why_empty(record.values) if column is not None and drop.detail.endswith("is empty") else ""
    return drop._replace(detail=drop.detail + why)


def behind_mark(values: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """The values with the answer alone of a gold such as `3 + 4 = 7\\n#### 7`; what stands before is a solution."""
    marked = _MARKED((values.get("answer") or "").strip())
    if marked is None:
        return values
    solution = values.get("reference_solution") or (marked[1] or "").strip() or None
    return {**values, "answer": marked[2], "reference_solution": solution}


Batch = list[tuple[Record | Drop, dict[str, list[str | None]]]]


def mapped_batches(records: Iterable[Record | Drop], columns: Mapping[str, Column],
                   lists: Collection[str] = (), single: Collection[str] = (), pieces: Collection[str] = ()
                   ) -> Iterator[Batch]:
    """Batches of rows with the texts of every column; a row that does not fit the mapping becomes a drop.

    `lists`, `single` and `pieces` are those of `map_rows`.
    """
    rows = iter(records)
    first = True
    while batch := list(islice(rows, BATCH_ROWS)):
        good = [record for record in batch if isinstance(record, Record)]
        if first and good:
            require_roots(good, columns)
            first = False
        mapped = map_rows([record.values for record in good], columns, lists, single, pieces)
        texts = iter(zip(good, mapped.frame.iter_rows(named=True), range(len(good)), strict=True))
        pairs: Batch = []
        for record in batch:
            if isinstance(record, Drop):
                pairs.append((record, {}))
                continue
            _, row, number = next(texts)
            misfit = mapped.misfits.get(number)
            pairs.append((Drop(record.where, misfit.reason, str(misfit)) if misfit else record, row))
        yield pairs


def problem_row(where: str, values: Mapping[str, str | None], source: str, split: str, license: str,
                without_gold: bool = False) -> dict | Drop:
    """A row of the table `problems` but for its id, from the texts of our columns."""
    cleaned = {name: (text or "").strip() or None for name, text in values.items()}
    if cleaned.get("problem") is None:
        return Drop(where, "no_problem", "the problem is empty")
    gold = cleaned.get("answer")
    if gold is not None and NO_GOLD.fullmatch(gold.strip(".()[] ")):
        cleaned["answer"] = None
    if cleaned.get("answer") is None and not without_gold:
        return Drop(where, "no_gold", f"{gold!r} is no answer" if gold else "the answer is empty")
    row = dict.fromkeys(("answer", "reference_solution", "subject", "level", "generator"))
    row |= {"source": source, "source_id": where, "split": split, "license": license}
    row |= {name: value for name, value in cleaned.items() if value is not None}
    return {"group_id": group_of(str(row["problem"]))} | row


def group_of(problem: str) -> str:
    """Group of a problem that names none: problems that differ in numbers, case and spacing alone share it."""
    masked = "".join("#" if character.isdigit() else character for character in problem.casefold())
    return content_id(" ".join(masked.split()))[:16]
