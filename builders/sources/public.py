"""GSM8K and MATH in their public formats, from a local file or from the Hub.

    GSM8K  {"question": "...", "answer": "She sells 16 - 3 = <<16-3=13>>13 eggs.\\n#### 13"}
    MATH   {"problem": "...", "solution": "... $\\boxed{3}$.", "answer": "3", "level": "Level 2", "subject": "Algebra"}

Where MATH rows have no `answer`, it is the content of the last box of the solution.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.files import problem_row
from stepforge.builders.sources.records import Drop, Record, read_records, require_columns


class Home(NamedTuple):
    """Where a set lives on the Hub, and its license."""

    hub: str
    config: str | None
    license: str


HOMES = {"gsm8k": Home("openai/gsm8k", "main", "MIT"), "math": Home("HuggingFaceH4/MATH-500", None, "MIT")}


def load(
    name: str, path: str | None, hub: str | None, revision: str | None, split: str
) -> Iterator[dict | Drop]:
    """Rows of the table `problems` but for `problem_id`, or what was dropped and why; `name` is gsm8k or math.

    Raises:
        SourceError: the file or the dataset cannot be read, or its rows are not of the public format.
    """
    records = read_records([path]) if path else _from_hub(name, hub, revision, split)
    prepare, needed = (_gsm8k, ["question", "answer"]) if name == "gsm8k" else (_math, ["problem", "solution"])
    first = next(records, None)
    if isinstance(first, Record):
        require_columns(first, needed)
    for record in chain([] if first is None else [first], records):
        if isinstance(record, Drop):
            yield record
        else:
            columns = {field: field for field in ("problem", "answer", "reference_solution", "subject", "level")}
            columns["source_id"] = "unique_id"
            yield problem_row(prepare(record), columns, source=name, split=split, license=HOMES[name].license)


def _gsm8k(record: Record) -> Record:
    solution, _, answer = str(record.values.get("answer", "")).rpartition("####")
    values = {"problem": record.values.get("question"), "answer": answer.strip().replace(",", "")}
    return Record(record.where, values | {"reference_solution": solution.strip()})


def _math(record: Record) -> Record:
    values = dict(record.values)
    values["reference_solution"] = values.get("solution")
    values["subject"] = values.get("subject") or values.get("type")
    values["answer"] = values.get("answer") or last_box(str(values.get("solution", "")))
    return Record(record.where, values)


def last_box(solution: str) -> str | None:
    """Content of the last `\\boxed{...}` with balanced braces; null where there is none."""
    start = solution.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for position in range(begin, len(solution)):
        if solution[position] == "}":
            if depth == 0:
                return solution[begin:position]
            depth -= 1
        depth += solution[position] == "{"
    return None


def _from_hub(name: str, hub: str | None, revision: str | None, split: str) -> Iterator[Record | Drop]:
    from datasets import load_dataset

    home = HOMES[name]
    repo, config = (hub, None) if hub else (home.hub, home.config)
    try:
        rows = load_dataset(repo, config, split=split, revision=revision, streaming=True)
        for number, values in enumerate(rows):
            yield Record(f"{repo}:{split}:{number}", values)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot load {repo!r} (split {split!r}) from the Hub: {error}") from error
