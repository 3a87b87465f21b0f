"""Recorded solutions: samples that exist already, matched to the problems of the run.

In: rows of files or of a Hub data set, under a mapping (builders/sources/mapping.py); each has a problem, by its
text or by an id, and one sample, a list of them, or one in pieces:

    {"question": "Natalia sold clips ...", "outputs": [{"response": "... The answer is 72", "label": true}, ...]}
        with columns {problem: question, solutions: "outputs[].response", upstream_verdict: "outputs[].label"}

Out: rows of `solutions` in the same form as those of an engine; what a row does not say is null. Dropped with a
reason: `malformed` rows, answers of a later turn of a chat (`several_turns`), solutions whose problem is not in the
run (`no_problem`) or is more than one of it (`several_problems`), those without text (`no_solution`; `failed_request`
where the row says that its request failed), and those beyond `samples` (`over_limit`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stepforge.builders.parquet import parts_of
from stepforge.builders.sources.files import mapped_batches
from stepforge.builders.sources.mapping import Column, normal
from stepforge.builders.sources.misfits import failure_of
from stepforge.builders.sources.records import Drop, Record, expand
from stepforge.builders.tables import DROPS, TABLES, content_id
from stepforge.builders.turns import without_end
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.answer import MOST, ended
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.options.generators import SOLUTIONS, RecordedGenerator
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Context, drop_row
from stepforge.pipelines.stages.buckets import write_parts
from stepforge.pipelines.stages.generate.matching import KnownProblem, digits, known_problems
from stepforge.pipelines.stages.generate.step_marks import labels_of, require_unmarked, without_marks
from stepforge.pipelines.stages.generate.thoughts import SOLUTION, SOLUTION_END, solution_and_thought
from stepforge.pipelines.stages.losses import Losses
from stepforge.pipelines.stages.problems import records_of

WORDS = {word: truth for truth, words in ((True, "true 1 1.0 yes c correct right pass passed"),
                                          (False, "false 0 0.0 -1 -1.0 no i incorrect wrong fail failed "
                                                  "incomplete truncated cut"))
         for word in words.split()}
Sample = Mapping[str, str | None]
OUTPUT = (TABLES["solutions"], DROPS)


def recorded_files(generator: RecordedGenerator) -> list[str]:
    """Names, sizes and times of the files: enough to see that they changed, without reading gigabytes."""
    return [f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in expand(generator.paths)]


def model_id(generator: RecordedGenerator, model: str | None) -> str:
    """generator_id of the samples of one model among those of a recorded generator, null: of all."""
    return generator_id(generator) if model is None else content_id(generator_id(generator), model)


def models(recipe: Recipe, solutions: Path) -> list[tuple[RecordedGenerator, str]]:
    """Models that recorded samples name themselves: each as a generator of its own, and its generator_id.

    Raises:
        StageFailed: a model has the name of a generator, or two generators name the same one.
    """
    names = pl.scan_parquet(parts_of(solutions)).select("generator", "generator_id").unique().collect().sort(pl.all())
    recorded = [g for g in recipe.generators if isinstance(g, RecordedGenerator)]
    generators = [(generator.model_copy(update={"name": name, "model": name}), source)
                  for name, source in names.iter_rows()
                  for generator in recorded if source == model_id(generator, name)]
    given = Counter([name for name, _ in names.iter_rows()] + [g.name for g in recipe.generators if g.name not in
                    {name for name, source in names.iter_rows() if source == generator_id(g)}])
    if twice := sorted(name for name, count in given.items() if count > 1):
        raise StageFailed(f"generate: {twice} is the name of two generators: of one in the recipe and of a model that "
                          "a recorded file names, or of models in two files. Read files of the same models as one "
                          "generator with several `paths`, or rename the generator")
    return generators


def read_recorded(generator: RecordedGenerator, order: int, context: Context, work: Path) -> Losses:
    """Write the solutions of a recorded generator to `work`; returns how many were kept and dropped."""
    known, problems = known_problems(context.table("problems"), context.drops("problems"), generator.join is not None)
    reader = _Reader(generator, known)
    losses = Losses(f"generator {generator.name}")
    divided = context.buckets > 1
    expected = context.buckets if divided else context.recipe.executor.tasks
    for number in range(1, expected):  # one process reads, and a part of every rank or bucket is expected
        with TableOutput(work, OUTPUT[1:] if divided else OUTPUT) as empty:
            empty.open(number)
    with context.tell(work, f"read {generator.name}", 0), TableOutput(work, OUTPUT) as output:
        output.open(0)
        for solutions, drops, position in reader.rows():
            dropped = [drop_row("generate", *drop) for drop in drops]
            output.write_tables({"solutions": solutions, "drops": dropped}, 0, order * max(1, problems) + position)
            losses.add(len(solutions), drops)
    if divided:
        _divide(context, work)
    return losses


def _divide(context: Context, work: Path) -> None:
    """Turn the one part of all solutions into one for each bucket, in the order of a table."""
    parts = [parts_path(work, "solutions") / f"{bucket:05d}.parquet" for bucket in range(context.buckets)]
    whole = work / "solutions.parquet"
    parts[0].rename(whole)
    sql = ("SELECT *, bucket_of(problem_id, $buckets) AS bucket FROM solutions "
           "ORDER BY bucket, position, sample_index, solution_id")
    with context.duckdb(solutions=whole) as connection:
        write_parts(connection, sql, {"buckets": context.buckets}, parts, TABLES["solutions"].schema)
    whole.unlink()


class _Reader:
    """Turns the rows of a recorded generator into rows of `solutions`."""

    def __init__(self, generator: RecordedGenerator, known: Mapping[str, tuple[KnownProblem, ...]]) -> None:
        self.generator = generator
        self.known = known
        self.columns = generator.mapping
        self.taken: Counter[tuple[str, str]] = Counter()

    def rows(self) -> Iterator[tuple[list[dict], list[Drop], int]]:
        """Rows of `solutions`, drops and the problem's position, for every row that is read."""
        mapping = {name: Column(text) for name, text in self.columns.items()}
        lists = set(mapping) - {"problem", "solution"}
        for batch in mapped_batches(records_of(self.generator, self.columns), mapping, lists, {"solution"},
                                    {"steps", "upstream_labels"}):
            for record, texts in batch:
                if isinstance(record, Drop):
                    yield [], [record], 0
                    continue
                try:
                    samples = samples_of(texts)
                except ValueError as misfit:
                    yield [], [Drop(record.where, "malformed", str(misfit))], 0
                    continue
                yield self._matched(record, texts["problem"], samples)

    def _matched(self, record: Record, problem: Sequence[str | None], samples: Sequence[Sample]
                 ) -> tuple[list[dict], list[Drop], int]:
        where = record.where
        key = str(problem[0]) if len(problem) == 1 and problem[0] else ""
        loose = normal(key) if self.generator.join is None else digits(normal(key))
        places = self.known.get(key.strip()) or self.known.get(loose, ())
        if len(places) != 1:
            reason, detail = self._unmatched(key, len(places))
            return [], [Drop(f"{where}:{index}", reason, detail) for index in range(len(samples))], 0
        solutions: list[dict] = []
        drops: list[Drop] = []
        for index, sample in enumerate(samples):
            row = self._solution(places[0].problem_id, sample, f"{where}:{index}")
            if isinstance(row, Drop) and row.reason == "no_solution" and (failure := failure_of(record.values)):
                row = Drop(row.where, "failed_request", failure)
            (drops if isinstance(row, Drop) else solutions).append(row)  # type: ignore[arg-type]
        return solutions, drops, places[0].position

    def _unmatched(self, key: str, places: int) -> tuple[str, str]:
        """Reason and detail of a row whose problem is none of the run, or several."""
        if not places:
            return "no_problem", f"no problem of this run is {key[:80]!r}" if key else "the row names no problem"
        advice = ("give `join`, a path to a source_id that only one of them has" if self.generator.join is None else
                  "give each problem a source_id of its own, in both files")
        return "several_problems", f"{places} problems of this run are {key[:80]!r}; {advice}"

    def _solution(self, problem_id: str, sample: Sample, where: str) -> dict[str, Any] | Drop:
        """A row of `solutions`, or why the sample is dropped."""
        try:
            text, labels = self._without_marks(sample)
        except ValueError as misfit:
            return Drop(where, "malformed", str(misfit))
        thought = sample.get("thought")
        if not text.strip() and not (thought and thought.strip()):
            found = sample.get("solution") is not None
            return Drop(where, "no_solution", "the solution is empty" if found else
                        "the mapping finds no solution: the value is null, or the pattern is not in it")
        model = (sample.get("generator") or "").strip() or None
        name = model or self.generator.name
        index = self.taken[name, problem_id]
        if self.generator.samples is not None and index >= self.generator.samples:
            return Drop(where, "over_limit", f"more than {self.generator.samples} samples")
        self.taken[name, problem_id] += 1
        reason, complete = _end(sample)
        if complete is None and SOLUTION in text and SOLUTION_END not in text:
            reason, complete = "length", False                  # cut within the solution
        source = model_id(self.generator, model)
        count = _count(sample.get("completion_tokens")) or None      # 0 beside a text says nothing
        completion = Completion(without_end(text), reason, count, _count(sample.get("prompt_tokens")), None,
                                thought=thought or None)
        solution, apart = solution_and_thought(completion, self.generator.thoughts, False, "")
        first_error = sample.get("upstream_first_error")
        return {
            "solution_id": content_id("solution", problem_id, source, index, solution), "problem_id": problem_id,
            "generator": name, "generator_id": source, "sample_index": index, "seed": _count(sample.get("seed")),
            "solution": solution, "completion_ids": None, "thought": apart, "finish_reason": reason,
            "complete": complete, "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "upstream_verdict": _verdict(sample.get("upstream_verdict")),
            "upstream_first_error": -1 if first_error in ("-1", "-1.0") else _count(first_error),
            "upstream_labels": labels,
        }

    def _without_marks(self, sample: Mapping[str, Any]) -> tuple[str, list[str] | None]:
        """Text and labels of a sample, without marks between its steps. Raises ValueError for marks that stay."""
        text, labels, mark = sample["solution"] or "", sample.get("upstream_labels"), self.generator.step_mark
        if mark is None:
            require_unmarked(text)
            return text, labels
        if labels and len(labels) == 1 and (text.count(mark) > 1 or mark in text and " " in (labels[0] or "").strip()):
            labels = labels_of(text, labels[0] or "", mark)
        return without_marks(text, mark), labels


def samples_of(texts: Mapping[str, Sequence[str | None]]) -> list[dict[str, Any]]:
    """The samples of a row, each with what the row says of it.

    Raises:
        ValueError: there are not as many values of a column as there are samples, nor one for all.
    """
    kind = next(name for name in SOLUTIONS if name in texts)
    recorded = list(texts[kind])
    if kind == "steps" and None in recorded:
        raise ValueError("one of the steps is empty")
    if kind == "steps" and len(texts.get("upstream_labels") or ()) > len(recorded):
        raise ValueError(f"{len(recorded)} steps, but {len(texts['upstream_labels'])} labels")
    if kind == "steps" and recorded:
        recorded = ["\n".join(step.rstrip("\n") for step in recorded if step is not None)]
    samples: list[dict[str, Any]] = [{"solution": text} for text in recorded or [None]]
    for name, values in texts.items():
        if name == "upstream_labels":
            samples[0][name] = list(values) or None
        elif name not in ("problem", *SOLUTIONS) and values:
            if name == "completion_tokens" and len(values) == 1 < len(samples):
                continue  # tokens of all samples together, as a server counts a request's
            if len(values) not in (1, len(samples)):
                raise ValueError(f"{len(samples)} solutions, but {len(values)} values of {name}")
            for sample, value in zip(samples, values if len(values) > 1 else list(values) * len(samples), strict=True):
                sample[name] = value
    return samples


def _end(sample: Sample) -> tuple[str, bool | None]:
    """finish_reason and complete, as far as the sample says; a text that either calls cut is cut, and one that a
    filter, a failure or a call of a tool ended is no whole solution."""
    reason = ended(sample.get("finish_reason"))
    whole = WORDS.get((sample.get("complete") or "").strip().lower())
    if whole is False or reason not in ("stop", "unknown"):
        return "length" if reason == "unknown" else reason, False
    return reason, True if whole or reason == "stop" else None


def _verdict(text: str | None) -> str | None:
    """correct or incorrect; a word that says neither stays as it is."""
    truth = WORDS.get((text or "").strip().lower())
    return text if truth is None else "correct" if truth else "incorrect"


def _count(text: str | None) -> int | None:
    """A whole number from 0; null for anything else."""
    whole = (text or "").strip().removesuffix(".0")
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 17 and int(whole) < MOST else None
