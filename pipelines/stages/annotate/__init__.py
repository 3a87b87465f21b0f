"""Annotate: how much did each step of a solution help or hurt?

In: problems with the solutions that are to be valued (annotate.sql). Out: `steps` with values and pits, `rollouts`,
and `alternatives`, candidates for the step that should have stood where the pit is. One datatrove document is one
problem, so that its solutions share what a search learns. The search (pipelines/credit) decides which rollouts are
made, the runner makes them, the verifier judges them. The adaptive search learns from a pilot first (pilot.py).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import ALTERNATIVES, ROLLOUTS, STEPS, Table
from stepforge.pipelines.answers import open_verifier
from stepforge.pipelines.answers import versions as verifier_versions
from stepforge.pipelines.credit import search as searching
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.credit.tokens import keep
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.models import model_revision
from stepforge.pipelines.inference.runner import Generate, Rollout
from stepforge.pipelines.inference.step_scores import check_model
from stepforge.pipelines.options.generators import BatchGenerator, Generator, RecordedGenerator, Writer
from stepforge.pipelines.options.stages import Annotate, Verify
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.annotate import pilot
from stepforge.pipelines.stages.annotate.choice import choose, chosen, drawn
from stepforge.pipelines.stages.annotate.facts import search_facts
from stepforge.pipelines.stages.annotate.problem import Problem
from stepforge.pipelines.stages.base import Account, Context, Expected, Spent, Stage
from stepforge.pipelines.stages.shares import Query

OUTPUT = (STEPS, ROLLOUTS, ALTERNATIVES)
TABLES = tuple(table.name for table in OUTPUT)
JOURNAL = "rollouts"


@contextmanager
def make_policy(generator: Writer, seed: int, settings: Verify, tokenizer: Path | None = None
                ) -> Iterator[dict[str, Policy]]:
    """The policy with a verifier of its own, for as long as a rank runs."""
    with open_verifier(**settings.opening()) as verifier:
        yield {"policy": Policy(generator, generator_id(generator), seed, verifier, asyncio.Lock(), tokenizer)}


async def annotate_problem(document: Document, generate: Generate, *, policy: Policy, settings: Annotate,
                           chain: Chain | None, no_model_fits: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows of `steps`, `rollouts` and `alternatives` for one problem."""
    problem = Problem(document.metadata, policy, settings, generate)
    search = await problem.search(chain, no_model_fits)
    steps = problem.step_rows(search)
    alternatives = await problem.alternatives(search, steps)
    return {"steps": steps, "rollouts": problem.rollouts, "alternatives": alternatives}


def settings(recipe: Recipe) -> Any:
    annotate = recipe.annotate
    if annotate is None:
        return None
    writer = recipe.generator(annotate.policy)
    policy = generator_id(writer)
    versions = [searching.VERSION, splitting.VERSION, verifier_versions(recipe.verify.verifier)]
    if annotate.search in ("auto", "adaptive") and not isinstance(writer, RecordedGenerator):
        versions.append(writer.read_cost)
    if annotate.value_model is not None:
        check_model(annotate.value_model, annotate.value_revision)
        versions.append(model_revision(annotate.value_model, annotate.value_revision))
    return [annotate.model_dump(mode="json"), policy, recipe.seed, versions]


def run(context: Context) -> Account:
    annotate = context.recipe.annotate
    if annotate is None:
        for table in OUTPUT:
            write_rows(context.file(table.name), [], table.schema)
        return Account.kept(0)
    generator = context.recipe.generator(annotate.policy)
    assert not isinstance(generator, RecordedGenerator)  # the recipe refuses it
    inputs = {name: context.table(name) for name in ("problems", "solutions", "verdicts", "duplicates", "judgements")}
    parameters = {"seed": str(context.recipe.seed), "policy": generator_id(generator),
                  "positives": annotate.positives_per_problem, "negatives": annotate.negatives_per_problem}
    problems = Query(load_sql(__package__, "annotate"), inputs, parameters)
    choice = choose(context.query_by_bucket(drawn(problems)), annotate.pilot)
    annotate = searched(annotate, generator, choice.problems)
    if annotate.search != "adaptive":
        choice = choice._replace(pilot=[])
    work, pilot_work = context.work / "annotate", context.work / "pilot"
    tokenizer = _keep_tokenizer(context, generator)

    def roll_out(query: Query, rollout: Rollout, folder: Path, tables: tuple[Table, ...], label: str, count: int
                 ) -> None:
        context.ask(query, rollout, generator, (JOURNAL, generator_id(generator)), context.output(folder, *tables),
                    label, count, partial(make_policy, generator, context.recipe.seed, context.recipe.verify,
                                          tokenizer))

    chain: Chain | None = None
    taught: dict[str, Any] = {}
    if choice.pilot:
        roll_out(chosen(problems, choice, only_pilot=True), partial(pilot.pilot_problem, settings=annotate),
                 pilot_work, (pilot.EVIDENCE,), "annotate: pilot", len(choice.pilot))
        chain, taught = pilot.teach(context.parts(pilot.EVIDENCE.name, [pilot_work]))
    no_model_fits = bool(taught) and chain is None
    roll_out(chosen(problems, choice), partial(annotate_problem, settings=annotate, chain=chain,
                                               no_model_fits=no_model_fits), work, OUTPUT, "annotate", choice.problems)
    for table in OUTPUT:
        context.collect(table.name, [work])
    context.finish([work, pilot_work], "annotate")
    facts = {"splitter": {"name": annotate.splitter, "version": splitting.VERSION},
             "search": search_facts(annotate, choice.judged, taught)}
    solutions, ledger = _done(context)
    return Account(choice.solutions, solutions, ledger=ledger, facts=facts, failed=ledger["failed"])


def _keep_tokenizer(context: Context, generator: Writer) -> Path:
    """Where ranks find the policy's tokenizer, where solutions have the tokens that it wrote."""
    path = (context.work / "tokenizer.json").absolute()
    sql = "SELECT 1 FROM solutions WHERE completion_ids IS NOT NULL AND generator_id = $policy LIMIT 1"
    with context.duckdb("solutions") as connection:
        any_ids = connection.execute(sql, {"policy": generator_id(generator)}).fetchone()
    if any_ids and not path.exists():
        with context.tell(context.work, "annotate: tokenizer", 0):
            keep(generator, path)
    return path


def searched(annotate: Annotate, policy: Generator, problems: int) -> Annotate:
    """The options with the search that so many problems get. A batch is not asked in many rounds."""
    return annotate.searched_by(0 if isinstance(policy, BatchGenerator) else problems)


def _done(context: Context) -> tuple[int, dict[str, int]]:
    """Solutions that were annotated, and what their rollouts cost."""
    with context.duckdb("steps", "rollouts") as connection:
        solutions = next(query_rows(connection, "SELECT count(DISTINCT solution_id)::BIGINT AS n FROM steps"))["n"]
        ledger = next(query_rows(connection, """
            SELECT coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
                   coalesce(sum(cached_prompt_tokens), 0)::BIGINT AS cached_prompt_tokens,
                   coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
                   count(*)::BIGINT AS rollouts, count(*) FILTER (finish_reason = 'error')::BIGINT AS failed
            FROM rollouts"""))
    return solutions, ledger


def spent(recipe: Recipe) -> Spent | None:
    """A request for every rollout."""
    if recipe.annotate is None:
        return None
    sql = ("SELECT $policy AS generator, problem_id, 1 AS requests, prompt_tokens, cached_prompt_tokens, "
           "completion_tokens FROM rollouts")
    return Spent(sql, {"policy": recipe.annotate.policy})


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected | None:
    options = recipe.annotate
    if options is None or problems is None:
        return None
    solutions = problems * (options.negatives_per_problem + options.positives_per_problem)
    search = searched(options, recipe.generator(options.policy), problems).search
    why = f", for {problems:,} problems and a pilot of {options.pilot}" if options.search == "auto" else ""
    text = f"at most {solutions:,} solutions, {options.rollouts} rollouts a step ({search}{why})"
    return Expected(text, problems)


def unread(recipe: Recipe) -> tuple[str, ...]:
    """Judgements are read as evidence alone, so another judge does not make the steps again where it is none."""
    return () if recipe.annotate is not None and "judge" in recipe.annotate.evidence else ("judge",)


STAGE = Stage("annotate", 12, ("decontaminate", "generate", "verify", "judge", "deduplicate"), settings, run, TABLES,
              journal=JOURNAL, spent=spent, expects=expects, unread=unread)
