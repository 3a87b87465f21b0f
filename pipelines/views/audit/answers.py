"""Take back what people found in an audited sample.

In: the filled-in CSV. Out: the answers, each checked against the sample, in RUN/audits/NAME.parquet; the next run puts
the false-positive rate into the measures and the card.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepforge.builders.errors import UserError
from stepforge.builders.opinion_tables import AUDITS
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.sources.records import LONGEST_CELL
from stepforge.pipelines.options.base import NAME
from stepforge.pipelines.run_folder import audits_path
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.views.audit.export import COLUMNS

OPINIONS = ("sound", "unsound", "unsure")
MOST_TOLD = 10  # mistakes of one file


def import_answers(run: Path, file: Path, by: str) -> tuple[int, int]:
    """Check the answers in `file` and add them to RUN/audits/BY.parquet; returns how many, and how many are blank.

    An answer to the same solution of the same sample replaces an earlier one of the same person.

    Raises:
        UserError: the file cannot be read, or any row in it is wrong; nothing is kept then.
    """
    if not re.fullmatch(NAME, by):
        raise UserError(f"--by: {by!r} is not a name; allowed are letters, digits, `.`, `_` and `-`")
    samples = {(row["audit_id"], row["solution_id"]): row["steps"]
               for path in people.sample_files(run) for row in read_rows(path)}
    if not samples:
        raise UserError(f"{run} has no exported sample; create one with `stepforge audit export {run}`")
    answers: dict[tuple[str, str], dict[str, Any]] = {}
    mistakes, blank = [], 0
    for line, row in _read_answers(file):
        key = (row["audit_id"].strip(), row["solution_id"].strip())
        try:
            answer = _answer(row, key, samples)
            if key in answers:
                raise ValueError(f"solution {key[1]} is answered twice")
        except ValueError as error:
            mistakes.append(f"  line {line}: {error}")
            continue
        if answer is None:
            blank += 1
        else:
            answers[key] = answer
    if mistakes:
        more = f"\n  and {len(mistakes) - MOST_TOLD} more" if len(mistakes) > MOST_TOLD else ""
        raise UserError(f"{file} was not imported:\n" + "\n".join(mistakes[:MOST_TOLD]) + more)
    if not answers:
        raise UserError(f"{file} has no answers; fill in the column `soundness` with {', '.join(OPINIONS)}")
    path = audits_path(run) / f"{by}.parquet"
    earlier = {(row["audit_id"], row["solution_id"]): row for row in read_rows(path)} if path.exists() else {}
    write_rows(path, [row for _, row in sorted((earlier | answers).items())], AUDITS.schema)
    return len(answers), blank


def _read_answers(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with the line that they end on, from a CSV with commas or, as some spreadsheets save it, semicolons."""
    csv.field_size_limit(LONGEST_CELL)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; it must be a CSV file in UTF-8") from error
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), restval="")
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise UserError(f"{file} has no column {', '.join(missing)}; was it made by `stepforge audit export`?")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}") from error


def _answer(row: dict[str, str], key: tuple[str, str], samples: dict[tuple[str, str], int]) -> dict[str, Any] | None:
    """One answer, checked; None where it was left blank. Raises ValueError for what is not allowed."""
    audit_id, solution_id = key
    if audit_id not in {known for known, _ in samples}:
        raise ValueError(f"audit_id {audit_id[:40]!r} is not a sample of this run")
    if key not in samples:
        raise ValueError(f"solution_id {solution_id[:40]!r} is not in the sample {audit_id}")
    soundness, step = row["soundness"].strip().lower(), row["first_error"].strip()
    if soundness not in (*OPINIONS, ""):
        raise ValueError(f"soundness is {soundness[:40]!r}; allowed: {', '.join(OPINIONS)}, or nothing")
    if step and soundness != "unsound":
        raise ValueError(f"first_error is {step[:40]!r}, but soundness {soundness!r}; only unsound goes with a step")
    if step and not (re.fullmatch("[0-9]{1,6}", step) and 1 <= int(step) <= samples[key]):
        raise ValueError(f"first_error is {step[:40]!r}; allowed: a step from 1 to {samples[key]}, or nothing")
    if not soundness:
        return None
    return {"audit_id": audit_id, "solution_id": solution_id, "soundness": soundness,
            "first_error": int(step) - 1 if step else None, "comment": row["comment"]}
