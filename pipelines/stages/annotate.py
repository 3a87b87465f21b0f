"""Annotate: how much did each step of a solution help or hurt?

In: problems with the solutions that are to be valued (annotate.sql). Out: `steps` with values and pits, `rollouts`,
and `alternatives`, candidates for the step that should have stood where the pit is. One datatrove document is one
problem, so that its solutions share what a search learns. The search (pipelines/credit) decides which rollouts are
made, the runner makes them, the verifier judges them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from datatrove.data import Document

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import ALTERNATIVES, DROPS, ROLLOUTS, STEPS, content_id
from stepforge.pipelines.answers import Verifier
from stepforge.pipelines.answers import fingerprint as verifier_fingerprint
from stepforge.pipelines.credit import search as searching
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.credit.advantages import q_fixed, q_interval
from stepforge.pipelines.credit.rollouts import Policy, Start, outcome_of
from stepforge.pipelines.credit.search import Ask, Search, SearchSettings, Solution, make_search
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.runner import Generate, Runner
from stepforge.pipelines.options.generators import RecordedGenerator, Writer
from stepforge.pipelines.options.stages import Annotate, Verify
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, QueryReader, Stage

BATCH = 64  # rollouts that a problem's search may ask for at once
TOTAL_SQL = """
SELECT count(*)::BIGINT AS problems, coalesce(sum(len(solutions)), 0)::BIGINT AS solutions FROM ({})
"""
TABLES = ("steps", "rollouts", "alternatives")


@contextmanager
def make_policy(generator: Writer, seed: int, settings: Verify) -> Iterator[dict[str, Policy]]:
    """The policy with a verifier of its own, for as long as a rank runs."""
    with Verifier(timeout_s=settings.timeout_s, memory_mb=settings.memory_mb) as verifier:
        yield {"policy": Policy(generator, generator_id(generator), seed, verifier, asyncio.Lock())}


async def annotate_problem(document: Document, generate: Generate, *, policy: Policy, settings: Annotate
                           ) -> dict[str, list[dict[str, Any]]]:
    """Rows of `steps`, `rollouts` and `alternatives` for one problem."""
    problem = Problem(document.metadata, policy, settings, generate)
    search = await problem.search()
    steps = problem.step_rows(search)
    alternatives = await problem.alternatives(search, steps)
    return {"steps": steps, "rollouts": problem.rollouts, "alternatives": alternatives}


class Problem:
    """One problem while its solutions are valued."""

    def __init__(self, row: dict[str, Any], policy: Policy, settings: Annotate, generate: Generate) -> None:
        self.row = row
        self.policy = policy
        self.settings = settings
        self.prompt = render(policy.generator.prompt, row["problem"])
        self.texts = {s["solution_id"]: splitting.split(settings.splitter, s["solution"], max_steps=settings.max_steps)
                      for s in row["solutions"]}
        self.solutions = [Solution(s["solution_id"], tuple(self.texts[s["solution_id"]]), s["correct"])
                          for s in row["solutions"]]
        self.rollouts: list[dict[str, Any]] = []
        self._roll_out = partial(policy.roll_out, generate, row["problem_id"], self.prompt, row["answer"])

    async def search(self) -> Search:
        """Let the search ask for rollouts until it is done."""
        settings = self.settings
        search = make_search(
            settings.search, self.solutions,
            SearchSettings(rollouts=settings.rollouts, best_of=settings.best_of, pit=settings.pit,
                           eps=settings.pit_tolerance, token_budget=settings.token_budget),
            self.row["base_successes"], self.row["base_rollouts"],
        )
        while batch := search.next_batch(BATCH):
            rows = await self._roll_out([self._start(ask) for ask in batch])
            self.rollouts += rows
            for ask, row in zip(batch, rows, strict=True):
                search.observe(ask, outcome_of(row), row["completion_tokens"])
        return search

    def _start(self, ask: Ask) -> Start:
        solution_id = None if ask.step_index < 0 else ask.solution_id
        return Start(self.prefix(ask.solution_id, ask.step_index), solution_id, ask.step_index, ask.index)

    def prefix(self, solution_id: str, step_index: int) -> str:
        """The solution's text up to and with a step."""
        return "".join(self.texts[solution_id][: step_index + 1])

    def step_rows(self, search: Search) -> list[dict[str, Any]]:
        rows = []
        for solution_id, values in search.values().items():
            start = 0
            for index, (step, value) in enumerate(zip(self.texts[solution_id], values, strict=True)):
                rows.append({"solution_id": solution_id, "problem_id": self.row["problem_id"], "step_index": index,
                             "step": step, "start": start, "end": start + len(step), **value._asdict()})
                start += len(step)
        return rows

    async def alternatives(self, search: Search, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Candidates for every pit, each valued by rollouts of its own."""
        found = [candidate for step in steps if step["is_pit"] for candidate in self._candidates(search, step)]
        starts = [Start(self.prefix(row["solution_id"], row["step_index"] - 1) + row["step"], row["solution_id"],
                        row["step_index"], index, "alternative")
                  for row in found if not row["complete"] for index in range(self.settings.rollouts)]
        rows = await self._roll_out(starts)
        counts: dict[str, list[bool]] = {}
        made = {row["rollout_id"] for row in self.rollouts}  # solutions may share a candidate, or hold one as a step
        self.rollouts += {row["rollout_id"]: row for row in rows if row["rollout_id"] not in made}.values()
        for start, row in zip(starts, rows, strict=True):
            if (outcome := outcome_of(row)) != "excluded":
                counts.setdefault(start.prefix, []).append(outcome == "success")
        for row in found:
            outcomes = counts.get(self.prefix(row["solution_id"], row["step_index"] - 1) + row["step"], [])
            row |= {"rollouts": len(outcomes), "successes": sum(outcomes)} | _value(row["complete"], outcomes)
        return found

    def _candidates(self, search: Search, pit: dict[str, Any]) -> list[dict[str, Any]]:
        """Different first steps of correct continuations of the prefix before a pit, in the order they were made."""
        solution_id, index = pit["solution_id"], pit["step_index"]
        owner, owner_index = search.canonical(solution_id, index - 1)
        continuations = [(row["rollout_id"], row["completion"]) for row in self.rollouts
                         if row["step_index"] == owner_index and row["solution_id"] == (owner if index else None)
                         and row["origin"] == "prefix" and row["verdict"] == "correct"]
        if index == 0:
            continuations += [(s["solution_id"], s["solution"]) for s in self.row["solutions"] if s["correct"]]
        found: dict[str, dict[str, Any]] = {}
        for source, text in continuations:
            pieces = splitting.split(self.settings.splitter, text)
            if pieces and pieces[0] != pit["step"] and len(found) < self.settings.alternatives_per_pit:
                found.setdefault(pieces[0], {
                    "alternative_id": content_id("alternative", solution_id, index, pieces[0]),
                    "problem_id": self.row["problem_id"], "solution_id": solution_id, "step_index": index,
                    "step": pieces[0], "complete": len(pieces) == 1, "taken_from": source,
                })
        return list(found.values())


def _value(complete: bool, outcomes: list[bool]) -> dict[str, float | None]:
    """Q of a candidate: 1 where it ends a solution that was verified, else from its own fixed number of rollouts."""
    if complete:
        return {"q": 1.0, "q_low": 1.0, "q_high": 1.0}
    if not outcomes:
        return {"q": None, "q_low": None, "q_high": None}
    low, high = q_interval(sum(outcomes), len(outcomes), "fixed_n")
    return {"q": q_fixed(sum(outcomes), len(outcomes)), "q_low": low, "q_high": high}


def settings(recipe: Recipe) -> Any:
    annotate = recipe.annotate
    if annotate is None:
        return None
    policy = generator_id(recipe.generator(annotate.policy))
    versions = [searching.VERSION, splitting.VERSION, verifier_fingerprint()]
    return [annotate.model_dump(mode="json"), policy, recipe.seed, versions]


def run(context: Context) -> Account:
    annotate = context.recipe.annotate
    if annotate is None:
        for table in (STEPS, ROLLOUTS, ALTERNATIVES):
            write_rows(context.table(table.name), [], table.schema)
        write_rows(context.drops("annotate"), [], DROPS.schema)
        return Account(0, 0)
    generator = context.recipe.generator(annotate.policy)
    assert not isinstance(generator, RecordedGenerator)  # the recipe refuses it
    inputs = {name: context.table(name) for name in ("problems", "solutions", "verdicts", "duplicates")}
    parameters = {"seed": str(context.recipe.seed), "policy": generator_id(generator),
                  "positives": annotate.positives_per_problem, "negatives": annotate.negatives_per_problem}
    work = context.work / "annotate"
    sql = load_sql(__package__, "annotate")
    with context.duckdb(*inputs) as connection:
        total = next(query_rows(connection, TOTAL_SQL.format(sql), parameters))
    reader = QueryReader(sql, inputs, parameters, context.recipe.executor.duckdb_memory, work / "spill")
    runner = Runner(partial(annotate_problem, settings=annotate), generator,
                    context.folder / "rollouts" / generator_id(generator), TableOutput(work, TABLES),
                    partial(make_policy, generator, context.recipe.seed, context.recipe.verify))
    context.pipeline([reader, runner], "annotate", total["problems"], work)
    context.collect("steps", [work], "solution_id, step_index")
    context.collect("rollouts", [work], "solution_id, step_index, origin, index, rollout_id")
    context.collect("alternatives", [work], "solution_id, step_index, alternative_id")
    write_rows(context.drops("annotate"), [], DROPS.schema)
    context.finish([work], "annotate")
    return Account(total["solutions"], *_done(context))


def _done(context: Context) -> tuple[int, dict[str, int], dict[str, int]]:
    """Solutions that were annotated, nothing dropped, and what their rollouts cost."""
    with context.duckdb("steps", "rollouts") as connection:
        solutions = next(query_rows(connection, "SELECT count(DISTINCT solution_id)::BIGINT AS n FROM steps"))["n"]
        ledger = next(query_rows(connection, """
            SELECT coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
                   coalesce(sum(cached_prompt_tokens), 0)::BIGINT AS cached_prompt_tokens,
                   coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
                   count(*)::BIGINT AS rollouts, count(*) FILTER (finish_reason = 'error')::BIGINT AS failed
            FROM rollouts"""))
    return solutions, {}, ledger


STAGE = Stage("annotate", 1, ("synthesize", "generate", "verify", "deduplicate"), settings, run, TABLES)
