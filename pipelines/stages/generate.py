"""Generate: solutions of every problem by every generator.

In: `problems`. Out: `solutions`, ordered by generator, problem and sample index. Engines run inside datatrove's runner
(pipelines/inference/runner.py) on the samples that the generator's journal does not hold yet, so a larger `samples` or
`limit` adds what is missing and nothing else. Recorded solutions are matched to their problems (recorded.py).
Dropped with a reason: requests that failed for good (`error`), recorded rows that fit no problem or have no text.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.parquet import count_rows
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.inference.engines import generator_id, payload_of
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.runner import Generate, Request, Runner
from stepforge.pipelines.options.generators import EmbeddedGenerator, RecordedGenerator
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, QueryReader, Stage, drop_row
from stepforge.pipelines.stages.recorded import read_recorded, recorded_files

PROBLEMS_SQL = "SELECT problem_id, problem, file_row_number AS position FROM problems"


def settings(recipe: Recipe) -> Any:
    """Generators by id, how many samples of each, and the hashes of recorded files."""
    told = []
    for generator in recipe.generators:
        files = recorded_files(generator) if isinstance(generator, RecordedGenerator) else []
        matching = generator.model_dump(mode="json") if isinstance(generator, RecordedGenerator) else None
        told.append([generator.name, generator_id(generator), generator.samples, files, matching])
    return [told, recipe.seed]


def run(context: Context) -> Account:
    works = []
    expected = 0
    problems = count_rows(context.table("problems"))
    for number, generator in enumerate(context.recipe.generators):
        work = context.work / f"{number:03d}-{generator.name}"
        if isinstance(generator, RecordedGenerator):
            expected += read_recorded(generator, number, context, work)
        else:
            _generate(generator, number, context, work, problems)
            expected += problems * generator.samples
        works.append(work)
    written = context.collect("solutions", works, "sample_index")
    context.collect("drops", works, "row_id", context.drops("generate"))
    context.finish(works, "generate")
    return Account(expected, written, context.drop_counts("generate"), _ledger(context))


def _generate(generator: EmbeddedGenerator, number: int, context: Context, work: Path, problems: int) -> None:
    reader = QueryReader(PROBLEMS_SQL, {"problems": context.table("problems")}, {},
                         context.recipe.executor.duckdb_memory, work / "spill")
    rollout = partial(sample_problem, generator=generator, seed=context.recipe.seed, first=number * problems)
    runner = Runner(rollout, generator, context.folder / "generated" / generator_id(generator),
                    TableOutput(work, ("solutions", "drops")))
    context.pipeline([reader, runner], f"generate {generator.name}", problems, work)


async def sample_problem(document: Document, generate: Generate, *, generator: EmbeddedGenerator, seed: int,
                         first: int) -> dict[str, list[dict]]:
    """All samples of one problem: rows of `solutions`, and a drop for every request that failed."""
    problem_id, source = document.id, generator_id(generator)
    prompt = render(generator.prompt, document.metadata["problem"])
    seeds = [derive_seed(seed, "sample", source, problem_id, index) for index in range(generator.samples)]
    requests = [Request(content_id("sample", source, problem_id, index, sample_seed),
                        payload_of(generator, prompt, sample_seed)) for index, sample_seed in enumerate(seeds)]
    answers = await asyncio.gather(*map(generate, requests))
    document.metadata["position"] += first
    solutions, drops = [], []
    for index, (sample_seed, (completion, *_)) in enumerate(zip(seeds, answers, strict=True)):
        if completion.finish_reason == "error":
            where = f"{generator.name}:{problem_id}:{index}"
            drops.append(drop_row("generate", where, "error", completion.error or ""))
            continue
        solutions.append({
            "solution_id": content_id("solution", problem_id, source, index, completion.text),
            "problem_id": problem_id, "generator": generator.name, "generator_id": source, "sample_index": index,
            "seed": sample_seed, "solution": completion.text, "completion_ids": completion.token_ids,
            "finish_reason": completion.finish_reason, "complete": completion.finish_reason == "stop",
            "prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens,
        })
    return {"solutions": solutions, "drops": drops}


def _ledger(context: Context) -> dict[str, int]:
    with context.duckdb("solutions") as connection:
        sql = ("SELECT coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens, "
               "coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens FROM solutions")
        return next(query_rows(connection, sql))


STAGE = Stage("generate", 1, ("problems",), settings, run, ("solutions",))
