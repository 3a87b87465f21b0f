"""Synthesize: a language model writes new problems after those of the sources, and solutions vote on their answers.

In: `seeds`. Out: `candidates`, the seeds and behind them the new ones, and `drafts`, everything that the writer wrote
with what became of it. As in arXiv 2406.14532, a new problem is written after a seed problem, solved several times,
and kept where a stated majority of the solutions gives one answer, which becomes its gold answer. It shares the group
of its seed problem, so that no split tells them apart. Seeds of a test split are never written after.

Writer and solver are generators of the recipe; what they wrote lies in journals. Dropped with a reason: drafts that
are no problem (prompt.py), `duplicate`s of a seed or of an earlier draft, drafts without a stated answer
(`unsolved`) or without a majority (`disagreement`), requests that failed (`error`). Without `synthesize` in the recipe
the candidates are the seeds.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.files import replacing
from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import DRAFTS, DROPS, PROBLEMS, content_id
from stepforge.pipelines.answers import AnyVerifier, open_verifier
from stepforge.pipelines.answers import versions as verifier_versions
from stepforge.pipelines.inference.engines import generator_id, payload_of, sampling_of, seed_of
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.runner import Completion, Generate, Request, Rollout, total
from stepforge.pipelines.options.generators import RecordedGenerator, Writer
from stepforge.pipelines.options.stages import Synthesize, Verify
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Expected, Spent, Stage
from stepforge.pipelines.stages.shares import Query
from stepforge.pipelines.stages.synthesize.prompt import VERSION, read_draft, writer_prompt, writer_template
from stepforge.pipelines.stages.synthesize.vote import election

SEEDS_SQL = "SELECT *, file_row_number AS position FROM seeds WHERE split = 'train'"
FRESH_SQL = """
WITH known AS (
    SELECT lower(trim(regexp_replace(problem, '\\s+', ' ', 'g'))) AS wording FROM seeds
), drafted AS (
    SELECT *, lower(trim(regexp_replace(problem, '\\s+', ' ', 'g'))) AS wording FROM written WHERE outcome = 'written'
)
SELECT * FROM drafted ANTI JOIN known USING (wording)
QUALIFY row_number() OVER (PARTITION BY wording ORDER BY file_row_number) = 1
ORDER BY file_row_number
"""
UNSOLVED_SQL = "SELECT draft_id AS problem_id, * EXCLUDE (problem_id), file_row_number AS position FROM fresh"
DRAFTS_SQL = """
SELECT drafts.* FROM (
    SELECT * EXCLUDE (file_row_number) FROM solved
    UNION ALL BY NAME
    SELECT * EXCLUDE (file_row_number)
           REPLACE (CASE outcome WHEN 'written' THEN 'duplicate' ELSE outcome END AS outcome,
                    CASE outcome WHEN 'written' THEN 'words that came before' ELSE detail END AS detail)
    FROM written ANTI JOIN solved USING (draft_id)
) AS drafts JOIN seeds ON seeds.problem_id = drafts.parent_id
ORDER BY seeds.file_row_number, drafts.index
"""
PROBLEMS_SQL = """
SELECT * FROM (
    SELECT 0 AS part, * FROM seeds
    UNION ALL BY NAME
    SELECT 1 AS part, drafts.problem_id, drafts.problem, drafts.answer, seeds.source, draft_id AS source_id,
           seeds.subject, seeds.split, seeds.group_id, seeds.license, $model AS generator, drafts.parent_id,
           drafts.agreement, drafts.file_row_number
    FROM drafts JOIN seeds ON seeds.problem_id = drafts.parent_id WHERE drafts.outcome = 'kept'
)
ORDER BY part, file_row_number
"""
DROPS_SQL = """
SELECT 'synthesize' AS stage, draft_id AS row_id, outcome AS reason, detail FROM drafts WHERE outcome <> 'kept'
ORDER BY file_row_number
"""
SPENT_SQL = """
SELECT $writer AS generator, parent_id AS problem_id, 1 AS requests, prompt_tokens, NULL AS cached_prompt_tokens,
       completion_tokens FROM drafts
UNION ALL
SELECT $solver, parent_id, solutions, solver_prompt_tokens, NULL, solver_completion_tokens FROM drafts
"""
JOURNAL = "synthesized"
LEDGER_SQL = """
SELECT count(*)::BIGINT AS drafts, coalesce(sum(solutions), 0)::BIGINT AS solutions,
       coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(solver_prompt_tokens, 0)), 0)::BIGINT AS prompt_tokens,
       coalesce(sum(coalesce(completion_tokens, 0) + coalesce(solver_completion_tokens, 0)), 0)::BIGINT
           AS completion_tokens
FROM drafts
"""


def writing(recipe: Recipe, options: Synthesize) -> tuple[Writer, Writer]:
    """The generator that writes, under the writer's prompt and length, and the one that solves, as it is."""
    writer, solver = recipe.generator(options.writer), recipe.generator(options.solver)
    assert not isinstance(writer, RecordedGenerator) and not isinstance(solver, RecordedGenerator)
    update = {"prompt": writer_template(options.prompt), "max_tokens": options.max_tokens, "stop": ()}
    return writer.model_copy(update=update), solver


async def write_drafts(document: Document, generate: Generate, *, options: Synthesize, writer: Writer,
                       seed: int) -> dict[str, list[dict]]:
    """Rows of `drafts` after one seed problem, not solved yet; the outcome of those that can be is `written`."""
    row, writer_id = document.metadata, generator_id(writer)
    prompt = writer_prompt(writer.prompt, row["problem"], row["answer"], row["reference_solution"])
    requests = []
    for index in range(options.per_seed):
        draft_seed = seed_of(writer, index, seed, "write", writer_id, row["problem_id"])
        key = content_id("write", writer_id, prompt, index, draft_seed)
        requests.append(Request(key, payload_of(writer, prompt, draft_seed)))
    drafts = []
    for index, (completion, *_) in enumerate(await asyncio.gather(*map(generate, requests))):
        problem, outcome, detail = read_draft(completion.text, completion.complete is not False)
        if completion.dropped:
            problem, outcome, detail = "", completion.dropped, completion.error or ""
        drafts.append({
            "draft_id": content_id("draft", row["problem_id"], writer_id, index, problem),
            "parent_id": row["problem_id"], "writer_id": writer_id, "index": index, "problem": problem,
            "outcome": outcome or "written", "detail": detail, "problem_id": None, "answer": None, "agreement": None,
            "solutions": 0, "solver_prompt_tokens": 0, "solver_completion_tokens": 0,
            "prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens,
        })
    return {"drafts": drafts}


@contextmanager
def make_verifier(settings: Verify) -> Iterator[dict[str, AnyVerifier]]:
    """The verifier that reads votes, for as long as a rank runs."""
    with open_verifier(**settings.opening()) as verifier:
        yield {"verifier": verifier}


async def solve_draft(document: Document, generate: Generate, *, options: Synthesize, solver: Writer, seed: int,
                      verifier: AnyVerifier) -> dict[str, list[dict]]:
    """The row of `drafts` of one draft, with the answer of the majority or why there is none."""
    row, solver_id = document.metadata, generator_id(solver)
    prompt = render(solver.prompt, row["problem"], solver.model)
    requests = []
    for index in range(options.solutions):
        solution_seed = seed_of(solver, index, seed, "solve", solver_id, row["problem"])
        key = content_id("solve", solver_id, prompt, index, solution_seed)
        requests.append(Request(key, payload_of(solver, prompt, solution_seed)))
    solutions: list[Completion] = [completion for completion, *_ in await asyncio.gather(*map(generate, requests))]
    result = await asyncio.to_thread(election, solutions, options.agreement, verifier)
    draft = {name: row[name] for name in DRAFTS.schema.names}
    return {"drafts": [draft | result._asdict() | {
        "draft_id": document.id, "solutions": sum(not s.dropped for s in solutions),
        "problem_id": content_id("problem", row["problem"], result.answer) if result.outcome == "kept" else None,
        "solver_prompt_tokens": total(s.prompt_tokens for s in solutions),
        "solver_completion_tokens": total(s.completion_tokens for s in solutions),
    }]}


def described(recipe: Recipe) -> dict[str, Any] | None:
    """Writer and solver as the manifest tells them: models, prompt and its version, sampling, the majority asked."""
    if recipe.synthesize is None:
        return None
    writer, solver = writing(recipe, recipe.synthesize)
    return {**recipe.synthesize.model_dump(mode="json"), "writer_id": generator_id(writer),
            "solver_id": generator_id(solver), "writer_model": writer.model, "solver_model": solver.model,
            "prompt_version": VERSION, "prompt_template": writer.prompt, "sampling": sampling_of(writer)}


def settings(recipe: Recipe) -> Any:
    """What decides the new problems.

    Raises:
        UserError: the recipe names a prompt that does not exist.
    """
    if recipe.synthesize is None:
        return None
    return [described(recipe), recipe.seed, verifier_versions(recipe.verify.verifier)]


def run(context: Context) -> Account:
    options = context.recipe.synthesize
    seeds = count_rows(context.table("seeds"))
    if options is None:
        with replacing(context.table("candidates")) as temporary:
            shutil.copyfile(context.table("seeds"), temporary)
        write_rows(context.table("drafts"), [], DRAFTS.schema)
        return Account.kept(seeds)
    writer, solver = writing(context.recipe, options)
    with context.duckdb("seeds") as connection:
        parents = next(query_rows(connection, f"SELECT count(*)::BIGINT AS n FROM ({SEEDS_SQL})"))["n"]
    rollout = partial(write_drafts, options=options, writer=writer, seed=context.recipe.seed)
    written = _ask(context, "write", rollout, writer, (SEEDS_SQL, {"seeds": context.table("seeds")}), parents)
    tables = {"seeds": context.table("seeds"), "written": written}
    fresh = context.work / "fresh.parquet"
    new = context.query_to_table(FRESH_SQL, tables, fresh, DRAFTS.schema)
    solve = partial(solve_draft, options=options, solver=solver, seed=context.recipe.seed)
    tables["solved"] = _ask(context, "solve", solve, solver, (UNSOLVED_SQL, {"fresh": fresh}), new,
                            partial(make_verifier, context.recipe.verify))
    context.query_to_table(DRAFTS_SQL, tables, context.table("drafts"), DRAFTS.schema)
    tables = {name: context.table(name) for name in ("seeds", "drafts")}
    written_rows = context.query_to_table(PROBLEMS_SQL, tables, context.table("candidates"), PROBLEMS.schema,
                          {"model": writer.model})
    context.query_to_table(DROPS_SQL, tables, context.drops("synthesize"), DROPS.schema)
    context.finish([context.work / "write", context.work / "solve"], "synthesize")
    with context.duckdb("drafts") as connection:
        ledger = next(query_rows(connection, LEDGER_SQL))
    dropped = context.drop_counts("synthesize")
    return Account(seeds + parents * options.per_seed, written_rows, dropped, ledger, failed=dropped.get("error", 0))


def _ask(context: Context, label: str, rollout: Rollout, generator: Writer,
         source: tuple[str, dict[str, Path]], documents: int,
         shared: Callable[[], AbstractContextManager[dict]] | None = None) -> Path:
    """Run `rollout` for every row of a query and collect the drafts that it gives."""
    sql, tables = source
    work, collected = context.work / label, context.work / f"{label}.parquet"
    context.ask(Query(sql, tables), rollout, generator, (JOURNAL, label, generator_id(generator)),
                TableOutput(work, (DRAFTS,)), f"{label} problems", documents, shared)
    context.collect("drafts", [work], collected)
    return collected


def spent(recipe: Recipe) -> Spent | None:
    """A request for every draft by the writer and for every solution by the solver, spent for the seed problem."""
    options = recipe.synthesize
    return None if options is None else Spent(SPENT_SQL, {"writer": options.writer, "solver": options.solver})


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected | None:
    options = recipe.synthesize
    if options is None:
        return None
    drafts = f"{options.per_seed} a problem," if problems is None else f"at most {problems * options.per_seed:,}"
    return Expected(f"{drafts} drafts, {options.solutions} solutions of each",
                    None if problems is None else problems * (1 + options.per_seed))


STAGE = Stage("synthesize", 2, ("problems",), settings, run, ("candidates", "drafts"), journal=JOURNAL, spent=spent,
              expects=expects, described=("synthesize", lambda context: described(context.recipe)), loses="draft: ")
