"""GSM8K and MATH in their public formats, from local files or from the Hub.

    GSM8K  {"question": "...", "answer": "She sells 16 - 3 = <<16-3=13>>13 eggs.\\n#### 13"}
    MATH   {"problem": "...", "solution": "... $\\boxed{3}$.", "answer": "3", "level": "Level 2", "subject": "Algebra"}

Where MATH rows have no `answer`, the answer that their solution states is looked for later.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.files import mapped_batches, problem_row
from stepforge.builders.sources.hub import read_hub
from stepforge.builders.sources.mapping import Column
from stepforge.builders.sources.records import Drop, expand, read_records


class Home(NamedTuple):
    """Where a split of a set lives on the Hub."""

    hub: str
    config: str | None = None


GSM8K = Home("openai/gsm8k", "main")
MATH = Home("DigitalLearningGmbH/MATH-lighteval")  # the 7,500 training problems; 500 of the test ones are MATH-500
HOMES = {("gsm8k", "train"): GSM8K, ("gsm8k", "test"): GSM8K,
         ("math", "train"): MATH, ("math", "test"): Home("HuggingFaceH4/MATH-500")}
SPLITS = {"train", "test", "validation", "valid", "val", "dev", "eval"}
_WORD = re.compile("[a-z]+")
LICENSE = "MIT"
COLUMNS = {"gsm8k": {"problem": Column("question"), "answer": Column("answer")},
           "math": {"problem": Column("problem"), "reference_solution": Column("solution")}}
OPTIONAL = {"gsm8k": (), "math": ("answer", "subject", "type", "level", "unique_id")}


def load(name: str, path: str | None, hub: str | None, revision: str | None, split: str
         ) -> Iterator[dict | Drop]:
    """Rows of the table `problems` but for `problem_id`, or what was dropped and why; `name` is gsm8k or math.

    Raises:
        SourceError: the files or the data set cannot be read, or their rows are not of the public format; the set has
            no such split.
    """
    if path:
        records: Iterator = read_records(_of_split(path, split))
    else:
        home = Home(hub) if hub else HOMES.get((name, split))
        if home is None:
            raise SourceError(f"{name} has no split {split!r}; allowed are train and test, or another `hub`")
        records = read_hub(home.hub, home.config, split, revision)
    for batch in mapped_batches(records, COLUMNS[name]):
        for record, texts in batch:
            if isinstance(record, Drop):
                yield record
                continue
            optional = {key: str(record.values[key]) for key in OPTIONAL[name] if record.values.get(key) is not None}
            values = {key: (value or [None])[0] for key, value in texts.items()}
            if name == "gsm8k" and is_solution(values["answer"] or ""):
                yield Drop(record.where, "no_gold", "its answer has no `####` before a final answer")
                continue
            values = _gsm8k(values) if name == "gsm8k" else _math(values, optional)
            yield problem_row(record.where, values, name, split, LICENSE, without_gold=name == "math")


def _of_split(path: str, split: str) -> list[str]:
    """The files of a path, of a folder or glob those alone whose names below it are of no other split.

    Raises:
        SourceError: there are files, but all of other splits.
    """
    paths = expand([path])
    if len(paths) < 2:
        return [path]
    root = os.path.commonpath([os.path.dirname(one) for one in paths])
    named = {one: set(_WORD.findall(os.path.relpath(one, root).lower())) & SPLITS for one in paths}
    kept = [str(one) for one in paths if not named[one] or split in named[one]]
    if not kept:
        raise SourceError(f"{path} has files of {sorted(set().union(*named.values()))}, but none of {split!r}")
    return kept


def _gsm8k(values: Mapping[str, str | None]) -> dict[str, str | None]:
    solution, _, answer = (values["answer"] or "").rpartition("####")
    return {"problem": values["problem"], "answer": answer.strip().replace(",", ""), "reference_solution": solution}


def is_solution(answer: str) -> bool:
    """Whether an answer of GSM8K's format is a text without the mark that leads to its final answer."""
    return "####" not in answer and (len(answer.split()) > 3 or not any(map(str.isdigit, answer)) or "\\" in answer)


def _math(values: Mapping[str, str | None], optional: Mapping[str, str]) -> dict[str, str | None]:
    return {**values, "answer": optional.get("answer"),
            "subject": optional.get("subject") or optional.get("type"), "level": optional.get("level"),
            "source_id": optional.get("unique_id")}
