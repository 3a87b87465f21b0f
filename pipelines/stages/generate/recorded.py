"""Recorded solutions: samples that exist already, matched to the problems of the run.

In: rows of the user's files or of a Hub dataset, each with a problem (its text or its problem_id) and a solution, a
list of solutions, or a list of records that hold one:

    {"question": "Natalia sold clips ...", "outputs": [{"response": "... The answer is 72", "label": true}, ...]}

Out: rows of `solutions` in the same form as those of an engine. Dropped with a reason: `malformed` rows, solutions
whose problem is not in the run (`no_problem`), and those without text (`no_solution`).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepforge.builders.errors import SourceError
from stepforge.builders.parquet import read_rows
from stepforge.builders.sources.records import Drop, Record, expand, read_records, require_columns
from stepforge.builders.tables import content_id
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.stages.base import Context, drop_row


def recorded_files(generator: RecordedGenerator) -> list[str]:
    """Names, sizes and times of the files: enough to see that they changed, without reading gigabytes."""
    return [f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in expand(generator.paths)]


def read_recorded(generator: RecordedGenerator, number: int, context: Context, work: Path) -> int:
    """Write the solutions of a recorded generator to `work`; returns how many were seen."""
    known: dict[str, tuple[str, int]] = {}
    for position, row in enumerate(read_rows(context.table("problems"), ["problem_id", "problem"])):
        known[_normal(row["problem"])] = known[row["problem_id"]] = (row["problem_id"], position)
    first, source = number * max(1, len(known)), generator_id(generator)
    taken: Counter[str] = Counter()
    seen = 0
    with context.tell(work, f"read {generator.name}", 0), TableOutput(work, ("solutions", "drops")) as output:
        for rank in range(context.recipe.executor.tasks):  # the plan expects a file of every rank; one process reads
            if rank:
                TableOutput(work, ("solutions", "drops")).open(rank)
        for record in _records(generator):
            if isinstance(record, Drop):
                seen += 1
                drop = drop_row("generate", record.where, record.reason, record.detail)
                output.write_tables({"drops": [drop]}, 0, 0)
                continue
            problem_id, position = known.get(_normal(str(record.values[generator.problem])), ("", 0))
            rows: list[dict] = []
            drops: list[dict] = []
            for index, text in enumerate(_texts(record, generator)):
                where = f"{record.where}:{index}"
                if not problem_id:
                    drops.append(drop_row("generate", where, "no_problem", "its problem is not in this run"))
                elif not isinstance(text, str) or not text.strip():
                    drops.append(drop_row("generate", where, "no_solution", "the solution is empty or not text"))
                elif generator.samples is not None and taken[problem_id] >= generator.samples:
                    drops.append(drop_row("generate", where, "over_limit", f"more than {generator.samples} samples"))
                else:
                    rows.append(_solution(problem_id, generator.name, source, taken[problem_id], text))
                    taken[problem_id] += 1
            seen += len(rows) + len(drops)
            output.write_tables({"solutions": rows, "drops": drops}, 0, first + position)
    return seen


def _records(generator: RecordedGenerator) -> Iterator[Record | Drop]:
    """Rows of files or of the Hub, the first one checked for the columns that the recipe names."""
    checked = False
    for record in read_records(generator.paths) if generator.paths else _from_hub(generator):
        if isinstance(record, Record) and not checked:
            require_columns(record, [generator.problem, generator.solution])
            checked = True
        if isinstance(record, Record) and not {generator.problem, generator.solution} <= record.values.keys():
            record = Drop(record.where, "malformed", f"no {generator.problem!r} or no {generator.solution!r}")
        yield record


def _from_hub(generator: RecordedGenerator) -> Iterator[Record]:
    from datasets import load_dataset

    try:
        rows = load_dataset(generator.hub, split=generator.hub_split, revision=generator.revision, streaming=True)
        for number, values in enumerate(rows):
            yield Record(f"{generator.hub}:{number}", values)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot load {generator.hub!r} from the Hub: {error}") from error


def _texts(record: Record, generator: RecordedGenerator) -> list[Any]:
    """The solutions of a row, however deep they lie."""
    value = record.values[generator.solution]
    found = value if isinstance(value, list) else [value]
    flat = [inner for item in found for inner in (item if isinstance(item, list) else [item])]
    if generator.solution_key is None:
        return flat
    return [item.get(generator.solution_key) if isinstance(item, dict) else None for item in flat]


def _solution(problem_id: str, name: str, source: str, index: int, text: str) -> dict[str, Any]:
    return {
        "solution_id": content_id("solution", problem_id, source, index, text), "problem_id": problem_id,
        "generator": name, "generator_id": source, "sample_index": index, "seed": None, "solution": text,
        "completion_ids": None, "finish_reason": "unknown", "complete": None, "prompt_tokens": None,
        "completion_tokens": None,
    }


def _normal(problem: str) -> str:
    return " ".join(problem.split())
