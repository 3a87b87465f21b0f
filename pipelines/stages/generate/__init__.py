"""Generate: solutions of every problem by every generator.

In: `problems`. Out: `solutions`, ordered by generator, problem and sample index. Engines run inside datatrove's runner
(pipelines/inference/runner.py) on the samples that the generator's journal does not hold yet, so a larger `samples` or
`limit` adds what is missing and nothing else. Recorded solutions are matched to their problems (recorded.py).
Where the recipe has a budget, the first samples of every problem are made as a pilot, their mean length decides how
many samples each generator may make (pipelines/budget.py), and `budgets` tells what was decided. The samples of the
pilot are the first ones of the run, so none is paid for twice; where a budget buys fewer than the pilot made, the rest
stays in the journal and out of the tables.
What a reasoning model thought stands in the solution, in a column of its own, or nowhere, as the recipe says; the
journal holds all of it. Dropped with a reason: requests that failed (`error`, asked again by the next run), prompts
that fill the context (`prompt_too_long`), what a content filter stopped (`filtered`), answers that call a tool
(`tool_calls`), recorded rows that fit no problem or have no text.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.parquet import count_rows, read_rows, write_rows
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import BUDGETS, DROPS, SOLUTIONS, content_id
from stepforge.pipelines.budget import Length, allot, token_cost
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.engines import check_apart, generator_id, payload_of, seed_of
from stepforge.pipelines.inference.journal import journal_lines
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.inference.prompts import check_prompt, render
from stepforge.pipelines.inference.runner import Generate, Request
from stepforge.pipelines.options.budget import Budget
from stepforge.pipelines.options.generators import Generator, RecordedGenerator, Writer
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import journal_path
from stepforge.pipelines.stages.base import Account, Context, Expected, Spent, Stage, drop_row, why_failed
from stepforge.pipelines.stages.generate.recorded import models, read_recorded, recorded_files
from stepforge.pipelines.stages.generate.thoughts import opens_thought, solution_and_thought
from stepforge.pipelines.stages.losses import warned
from stepforge.pipelines.stages.shares import Query

JOURNAL = "generated"
PROBLEMS_SQL = "SELECT problem_id, problem, file_row_number AS position FROM problems"
LENGTHS_SQL = """
SELECT generator, coalesce(sum(completion_tokens), 0)::BIGINT AS tokens, count(completion_tokens)::BIGINT AS samples,
       coalesce(sum(prompt_tokens), 0)::BIGINT AS read
FROM solutions GROUP BY generator
HAVING samples > 0
"""


def settings(recipe: Recipe) -> Any:
    """Generators by id, how many samples of each, and the hashes of recorded files.

    Raises:
        UserError: a prompt cannot be rendered, a model cannot be found, or two generators are one.
    """
    check_apart(recipe.generators)
    stated = []
    for generator in recipe.generators:
        check_prompt(generator.prompt, generator.model)
        files = recorded_files(generator) if isinstance(generator, RecordedGenerator) else []
        matching = generator.model_dump(mode="json") if isinstance(generator, RecordedGenerator) else None
        kept = [] if (thoughts := getattr(generator, "thoughts", "inline")) == "inline" else [thoughts]
        stated.append([generator.name, generator_id(generator), generator.samples, files, matching, *kept])
    if recipe.budget is None:
        return [stated, recipe.seed]
    spending = [[g.name, g.parameters, g.price, g.input_price] for g in recipe.generators
                if not isinstance(g, RecordedGenerator)]
    return [stated, recipe.seed, recipe.budget.model_dump(mode="json"), spending]


def run(context: Context) -> Account:
    works, losses = [], []
    expected = 0
    problems = count_rows(context.table("problems"))
    for number, generator in enumerate(within_budget(context, problems)):
        work = context.work / f"{number:03d}-{generator.name}"
        if isinstance(generator, RecordedGenerator):
            losses.append(read_recorded(generator, number, context, work))
            expected += losses[-1].total
        elif generator.samples:
            _generate(generator, number, context, work, problems)
            expected += problems * generator.samples
        else:
            continue  # it only judges, or no budget is left for it: its engine need not start
        works.append(work)
    written = context.collect("solutions", works)
    dropped = context.collect_drops(works, "generate")
    for loss in losses:
        if not loss.kept and context.recipe.subset is None:
            known = next(read_rows(context.table("problems"), ["problem", "source_id"]))
            raise loss.nothing(context.drops("generate"), f". A problem of this run is {known['source_id']!r}: "
                               f"{known['problem'][:200]!r}")
    models(context.recipe, context.table("solutions"))  # refuses two generators of one name
    context.finish(works, "generate")
    if expected and not written:
        raise StageFailed(f"generate: none of {expected:,} solutions came; dropped {dropped}"
                          f"{why_failed(context.folder, 'generate')}")
    return Account(expected, written, dropped, _ledger(context), facts=warned(losses), failed=dropped.get("error", 0))


def within_budget(context: Context, problems: int) -> Sequence[Generator]:
    """The generators with the numbers of samples that they may make; writes `budgets`, empty without a budget."""
    budget, rows = context.recipe.budget, []
    generators: Sequence[Generator] = context.recipe.generators
    if budget is not None:
        able = [g for g in generators if not isinstance(g, RecordedGenerator) and g.samples]
        costs = {g.name: token_cost(budget.match, g, model_path(g.model)) for g in able}
        lengths = _pilot(context, able, budget, problems)
        allotments = allot(budget, costs, lengths, {g.name: g.samples for g in able}, {g.name: g for g in able})
        rows = [{"generator": name, "match": budget.match, "budget": float(given.limit),
                 "token_cost": None if (cost := costs[name]) is None else float(cost),
                 "pilot_samples": lengths[name].samples, "pilot_tokens": lengths[name].tokens,
                 "sample_cost": float(given.cost), "samples": given.samples, "remainder": float(given.left)}
                for name, given in allotments.items()]
        generators = [g.model_copy(update={"samples": allotments[g.name].samples}) if g.name in allotments else g
                      for g in generators]
    write_rows(context.file("budgets"), rows, BUDGETS.schema)
    return generators


def _pilot(context: Context, generators: Sequence[Writer], budget: Budget, problems: int
           ) -> dict[str, Length]:
    """Generated tokens of the first samples of every problem, by generator."""
    works = []
    for number, generator in enumerate(generators):
        works.append(context.work / f"pilot-{number:03d}-{generator.name}")
        _generate(generator.model_copy(update={"samples": budget.pilot}), number, context, works[-1], problems)
    if not works:
        return {}
    with context.duckdb() as database:
        database.read_parquet([str(part) for part in context.parts("solutions", works)]).create_view("solutions")
        pilot = {row["generator"]: Length(row["tokens"], row["samples"], row["read"])
                 for row in query_rows(database, LENGTHS_SQL)}
    if silent := [generator.name for generator in generators if generator.name not in pilot]:
        raise StageFailed(f"generate: no request of the pilot of {silent} came back with a number of tokens; see "
                          f"{context.folder / 'logs'}. A budget by flops or price needs servers that say `usage`")
    return pilot


def _generate(generator: Writer, number: int, context: Context, work: Path, problems: int) -> None:
    query = Query(PROBLEMS_SQL, {"problems": context.table("problems")})
    rollout = partial(sample_problem, generator=generator, seed=context.recipe.seed, first=number * problems)
    context.ask(query, rollout, generator, (JOURNAL, generator_id(generator)),
                context.output(work, SOLUTIONS, DROPS), f"generate {generator.name}", problems)


async def sample_problem(document: Document, generate: Generate, *, generator: Writer, seed: int,
                         first: int) -> dict[str, list[dict]]:
    """All samples of one problem: rows of `solutions`, and a drop for every request that failed."""
    problem_id, source = document.id, generator_id(generator)
    prompt = render(generator.prompt, document.metadata["problem"], generator.model)
    seeds = [seed_of(generator, index, seed, "sample", source, problem_id) for index in range(generator.samples)]
    requests = [Request(content_id("sample", source, problem_id, index, sample_seed),
                        payload_of(generator, prompt, sample_seed)) for index, sample_seed in enumerate(seeds)]
    answers = await asyncio.gather(*map(generate, requests))
    opened = opens_thought(prompt, (completion for completion, *_ in answers))
    document.metadata["position"] += first
    solutions, drops = [], []
    for index, (sample_seed, (completion, *_)) in enumerate(zip(seeds, answers, strict=True)):
        if completion.dropped:
            where = f"{generator.name}:{problem_id}:{index}"
            drops.append(drop_row("generate", where, completion.dropped, completion.error or ""))
            continue
        solution, thought = solution_and_thought(completion, generator.thoughts, opened, prompt)
        solutions.append({
            "solution_id": content_id("solution", problem_id, source, index, solution),
            "problem_id": problem_id, "generator": generator.name, "generator_id": source, "sample_index": index,
            "seed": sample_seed, "solution": solution, "thought": thought,
            "completion_ids": completion.token_ids if solution == completion.text else None,
            "finish_reason": completion.finish_reason, "complete": completion.complete,
            "prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens,
            "logprob_sum": completion.logprob_sum, "logprob_mean": completion.logprob_mean,
        })
    return {"solutions": solutions, "drops": drops}


def _ledger(context: Context) -> dict[str, int]:
    with context.duckdb("solutions") as connection:
        sql = ("SELECT coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens, "
               "coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens FROM solutions")
        return next(query_rows(connection, sql))


def spent(recipe: Recipe) -> Spent:
    """A request for every solution; recorded ones have no tokens, or those that came with them."""
    return Spent("SELECT generator, problem_id, 1 AS requests, prompt_tokens, NULL AS cached_prompt_tokens, "
                 "completion_tokens FROM solutions")


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected:
    """From limits of the recipe and from journals."""
    lines = []
    for generator in recipe.generators:
        if isinstance(generator, RecordedGenerator):
            lines.append(f"{generator.name}: recorded")
            continue
        have = journal_lines(journal_path(folder, JOURNAL, generator_id(generator)))
        if recipe.budget is not None and generator.samples:
            lines.append(f"{generator.name}: as many as the budget of {recipe.budget.per_problem} "
                         f"({recipe.budget.match}) buys, {have:,} in the journal")
        elif problems is not None:
            calls = problems * generator.samples
            most = max(0, calls - have) * generator.max_tokens
            lines.append(f"{generator.name}: {calls:,} solutions, {have:,} in the journal, "
                         f"at most {most:,} new tokens")
        else:
            lines.append(f"{generator.name}: {generator.samples} solutions a problem, {have:,} in the journal")
    return Expected("; ".join(lines), problems)


STAGE = Stage("generate", 10, ("decontaminate",), settings, run, ("solutions", "budgets"), journal=JOURNAL,
              spent=spent, expects=expects)
