"""Judge: a language model reads solutions and says where their first error is.

In: a sample of `solutions` with their problems, and on request those that are annotated (judge.sql). Out:
`judgements`: per solution, the votes by outcome and the majority outcome. They complement the result of the equation
check (`verdicts.soundness`) and do not replace it. The judge is a generator of the recipe under another
prompt (prompt.py). The account counts votes: a request that failed for good is a vote dropped with the reason
`error`, and the others decide. Without a judge in the recipe the table is empty and nothing is asked.
"""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.data import Document

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import DROPS, JUDGEMENTS, TEXT, content_id
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.inference.engines import generator_id, payload_of, sampling_of, seed_of
from stepforge.pipelines.inference.runner import Completion, Generate, Request, total
from stepforge.pipelines.options.generators import RecordedGenerator, Writer
from stepforge.pipelines.options.stages import Judge
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Expected, Spent, Stage, drop_row
from stepforge.pipelines.stages.judge.prompt import VERSION, Vote, judge_prompt, judge_template, read_vote
from stepforge.pipelines.stages.shares import Query

TOTAL_SQL = """
SELECT count(*)::BIGINT AS problems, coalesce(sum(len(solutions)), 0)::BIGINT AS solutions FROM ({})
"""
CUT = pa.schema([("generator", TEXT), ("verdict", TEXT), ("last", TEXT)])
CUT_SQL = """
SELECT generator, verdict, draw AS last FROM (
    SELECT generator, verdict, md5($seed || solution_id) AS draw,
           row_number() OVER (PARTITION BY generator, verdict ORDER BY draw) AS number
    FROM solutions JOIN verdicts USING (solution_id) WHERE verdict IN ('correct', 'incorrect')
) WHERE number = CASE verdict WHEN 'correct' THEN $correct::BIGINT ELSE $incorrect::BIGINT END
"""
JOURNAL = "judged"
SPENT_SQL = """
SELECT judge AS generator, problem_id, votes_sound + votes_unsound + votes_undecided AS requests,
       judgements.prompt_tokens, NULL AS cached_prompt_tokens, judgements.completion_tokens
FROM judgements JOIN solutions USING (solution_id)
"""
LEDGER_SQL = """
SELECT count(*)::BIGINT AS solutions, coalesce(sum(votes_sound), 0)::BIGINT AS votes_sound,
       coalesce(sum(votes_unsound), 0)::BIGINT AS votes_unsound,
       coalesce(sum(votes_undecided), 0)::BIGINT AS votes_undecided,
       coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
       coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens
FROM judgements
"""


def judging(recipe: Recipe, judge: Judge) -> Writer:
    """The generator that judges, under the judge's prompt and length and without the stops of its solutions."""
    generator = recipe.generator(judge.generator)
    assert not isinstance(generator, RecordedGenerator)  # the recipe refuses it
    prompt = judge_template(judge.prompt)
    return generator.model_copy(update={"prompt": prompt, "max_tokens": judge.max_tokens, "stop": ()})


async def judge_problem(document: Document, generate: Generate, *, judge: Judge, generator: Writer,
                        seed: int) -> dict[str, list[dict]]:
    """Rows of `judgements` for the solutions of one problem, and a drop for every vote that failed."""
    row, judge_id = document.metadata, generator_id(generator)

    async def votes_on(solution: dict[str, str], steps: list[str]) -> list[Completion]:
        prompt = judge_prompt(generator.prompt, row["problem"], row["answer"], row["reference_solution"], steps)
        requests = []
        for vote in range(judge.votes):
            vote_seed = seed_of(generator, vote, seed, "judge", judge_id, solution["solution_id"])
            key = content_id("judge", judge_id, prompt, vote, vote_seed)
            requests.append(Request(key, payload_of(generator, prompt, vote_seed)))
        return [completion for completion, *_ in await asyncio.gather(*map(generate, requests))]

    texts = [splitting.split(judge.splitter, solution["solution"], max_steps=judge.max_steps)
             for solution in row["solutions"]]
    answers = await asyncio.gather(*map(votes_on, row["solutions"], texts))
    judgements, drops = [], []
    for solution, steps, completions in zip(row["solutions"], texts, answers, strict=True):
        solution_id = solution["solution_id"]
        drops += [drop_row("judge", f"{solution_id}:{vote}", completion.dropped, completion.error or "")
                  for vote, completion in enumerate(completions) if completion.dropped]
        came = [completion for completion in completions if not completion.dropped]
        if came:
            votes = [read_vote(c.text, len(steps), c.complete is not False) for c in came]
            judgements.append({
                "solution_id": solution_id, **majority(votes), "sampled": solution["sampled"], "steps": len(steps),
                "judge": judge.generator, "judge_id": judge_id, "prompt_tokens": total(c.prompt_tokens for c in came),
                "completion_tokens": total(c.completion_tokens for c in came),
            })
    return {"judgements": judgements, "drops": drops}


def majority(votes: list[Vote]) -> dict[str, Any]:
    """What more than half of the votes say; undecided where there is no such outcome.

    The first error is the step that most votes for unsound name, the earliest among equals.
    """
    counts = Counter(vote.soundness for vote in votes)
    soundness = next((outcome for outcome, count in counts.items() if 2 * count > len(votes)), "undecided")
    named = Counter(vote.first_error for vote in votes if vote.first_error is not None)
    first = min(named, key=lambda step: (-named[step], step)) if soundness == "unsound" else None
    return {"soundness": soundness, "first_error": first,
            **{f"votes_{outcome}": counts[outcome] for outcome in ("sound", "unsound", "undecided")}}


def described(recipe: Recipe) -> dict[str, Any] | None:
    """The judge as the manifest tells it: model, prompt and its version, sampling, sample sizes."""
    if recipe.judge is None:
        return None
    generator = judging(recipe, recipe.judge)
    return {**recipe.judge.model_dump(mode="json"), "judge_id": generator_id(generator), "model": generator.model,
            "prompt_version": VERSION, "prompt_template": generator.prompt, "sampling": sampling_of(generator)}


def settings(recipe: Recipe) -> Any:
    """What decides the judgements.

    Raises:
        UserError: the recipe names a prompt that does not exist.
    """
    if recipe.judge is None:
        return None
    return [described(recipe), recipe.seed, splitting.VERSION, annotated(recipe)]


def annotated(recipe: Recipe) -> dict[str, int]:
    """Solutions of a problem that the judge reads since they are annotated."""
    if recipe.judge is None or recipe.annotate is None or not recipe.judge.annotated:
        return {"positives": 0, "negatives": 0}
    return {"positives": recipe.annotate.positives_per_problem, "negatives": recipe.annotate.negatives_per_problem}


def run(context: Context) -> Account:
    judge = context.recipe.judge
    if judge is None:
        write_rows(context.file("judgements"), [], JUDGEMENTS.schema)
        return Account.kept(0)
    generator = judging(context.recipe, judge)
    inputs = {name: context.table(name) for name in ("problems", "solutions", "verdicts", "duplicates")}
    drawn = {"seed": str(context.recipe.seed), "correct": judge.correct_per_generator,
             "incorrect": judge.incorrect_per_generator}
    work, sql = context.work / "judge", load_sql(__package__, "judge")
    inputs["cut"] = context.work / "cut.parquet"
    context.query_to_table(CUT_SQL, {name: inputs[name] for name in ("solutions", "verdicts")}, inputs["cut"], CUT,
                           drawn)
    parameters = drawn | annotated(context.recipe)
    asked: Counter[str] = Counter()
    for row in context.query_by_bucket(Query(TOTAL_SQL.format(sql), inputs, parameters)):
        asked.update(row)
    rollout = partial(judge_problem, judge=judge, generator=generator, seed=context.recipe.seed)
    context.ask(Query(sql, inputs, parameters), rollout, generator, (JOURNAL, generator_id(generator)),
                context.output(work, JUDGEMENTS, DROPS), "judge", asked["problems"])
    context.collect("judgements", [work])
    dropped = context.collect_drops([work], "judge")
    context.finish([work], "judge")
    with context.duckdb("judgements") as connection:
        ledger = next(query_rows(connection, LEDGER_SQL))
    counted = sum(ledger[f"votes_{outcome}"] for outcome in ("sound", "unsound", "undecided"))
    return Account(asked["solutions"] * judge.votes, counted, dropped, ledger, failed=dropped.get("error", 0))


def spent(recipe: Recipe) -> Spent | None:
    """A request for every vote."""
    return None if recipe.judge is None else Spent(SPENT_SQL)


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected | None:
    judge = recipe.judge
    if judge is None:
        return None
    limits = (judge.correct_per_generator, judge.incorrect_per_generator)
    valued = sum(annotated(recipe).values())
    if None in limits or (valued and problems is None):
        text = f"{judge.votes} votes on every solution of a kind, at most {judge.max_tokens} new tokens each"
    else:
        sampled = sum(limit or 0 for limit in limits) * len(recipe.generators)
        votes = (sampled + valued * (problems or 0)) * judge.votes
        text = f"at most {votes:,} votes, at most {votes * judge.max_tokens:,} new tokens"
    return Expected(text, problems)


def unread(recipe: Recipe) -> tuple[str, ...]:
    """Duplicates decide alone which solutions are annotated."""
    return () if recipe.judge is not None and recipe.judge.annotated else ("deduplicate",)


STAGE = Stage("judge", 2, ("decontaminate", "generate", "verify", "deduplicate"), settings, run, ("judgements",),
              journal=JOURNAL, spent=spent, expects=expects, unread=unread,
              described=("judge", lambda context: described(context.recipe)))
