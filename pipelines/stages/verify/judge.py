"""The last tier of verdicts, where a recipe asks for it: a language model says whether two answers are equal.

In: `verdicts` by rules. Out: `rulings`, one for every solution that the rules left undecided, and the verdicts with
what more than half of the votes say. Solutions that were cut off before an answer, and problems without a gold answer,
are not asked about. The judge is a generator of the recipe under another prompt (prompt.py); its answers lie in a
journal. Solutions whose prompts are equal share their votes. A vote whose request failed counts for nothing until the
next run asks again.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.sql import query_rows
from stepforge.builders.tables import RULINGS, VERDICTS, content_id
from stepforge.pipelines.answers import VERSION as ANSWERS_VERSION
from stepforge.pipelines.answers import answer_key
from stepforge.pipelines.answers.golds import reference_answer
from stepforge.pipelines.inference.engines import generator_id, payload_of, sampling_of, seed_of
from stepforge.pipelines.inference.runner import Completion, Generate, Request, total
from stepforge.pipelines.options.generators import RecordedGenerator, Writer
from stepforge.pipelines.options.stages import Verify
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Context
from stepforge.pipelines.stages.shares import Query
from stepforge.pipelines.stages.verify.prompt import RULING, VERSION, Ruling, read_ruling, ruling_prompt

JOURNAL = "ruled"
OUTCOMES: tuple[Ruling, ...] = ("equal", "unequal", "undecided")
ASKED_SQL = """
SELECT problem_id, problem, problems.answer AS gold, problems.file_row_number AS position,
       list({solution_id: solution_id, solution: solution, answer: verdicts.answer, reason: verdicts.reason}
            ORDER BY solutions.file_row_number) AS solutions
FROM verdicts JOIN solutions USING (solution_id) JOIN problems USING (problem_id)
WHERE verdict = 'undecided' AND verdicts.reason <> 'truncated'
GROUP BY ALL
"""
RULED_SQL = """
SELECT verdicts.* EXCLUDE (file_row_number) REPLACE (
    CASE ruling WHEN 'equal' THEN 'correct' WHEN 'unequal' THEN 'incorrect' ELSE verdict END AS verdict,
    CASE WHEN ruling IN ('equal', 'unequal') THEN 'judge' ELSE method END AS method,
    coalesce(CASE ruling WHEN 'equal' THEN gold_key END, answer_key) AS answer_key)
FROM verdicts LEFT JOIN rulings USING (solution_id) ORDER BY verdicts.file_row_number
"""
SPENT_SQL = """
SELECT judge AS generator, problem_id, requests, rulings.prompt_tokens, NULL AS cached_prompt_tokens,
       rulings.completion_tokens
FROM rulings JOIN solutions USING (solution_id)
"""
LEDGER_SQL = """
SELECT count(*)::BIGINT AS ruled, count(*) FILTER (ruling <> 'undecided')::BIGINT AS decided,
       coalesce(sum(requests), 0)::BIGINT AS requests, coalesce(sum(failed), 0)::BIGINT AS failed,
       coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
       coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens
FROM rulings
"""


def judging(recipe: Recipe, name: str) -> Writer:
    """The generator that judges, under the prompt of rulings and without the stops of its solutions."""
    generator = recipe.generator(name)
    assert not isinstance(generator, RecordedGenerator)  # the recipe refuses it
    return generator.model_copy(update={"prompt": RULING, "max_tokens": recipe.verify.judge_tokens, "stop": ()})


async def rule_on_problem(document: Document, generate: Generate, *, options: Verify, generator: Writer,
                          seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of `rulings` for the solutions of one problem."""
    row, judge_id = document.metadata, generator_id(generator)
    gold = reference_answer(row["gold"])
    if gold is None:
        return {"rulings": []}

    async def votes_on(prompt: str) -> list[Completion]:
        requests = []
        for vote in range(options.votes):
            vote_seed = seed_of(generator, vote, seed, "rule", judge_id, prompt)
            key = content_id("rule", judge_id, prompt, vote, vote_seed)
            requests.append(Request(key, payload_of(generator, prompt, vote_seed)))
        return [completion for completion, *_ in await asyncio.gather(*map(generate, requests))]

    prompts = [ruling_prompt(generator.prompt, row["problem"], gold, s["answer"], s["solution"])
               for s in row["solutions"]]
    different = list(dict.fromkeys(prompts))
    votes = dict(zip(different, await asyncio.gather(*map(votes_on, different)), strict=True))
    gold_key = answer_key(gold) if options.verifier == "math" else None
    rulings, paid = [], set[str]()
    for solution, prompt in zip(row["solutions"], prompts, strict=True):
        rulings.append({"solution_id": solution["solution_id"], "reason": solution["reason"], "gold_key": gold_key,
                        "judge": options.judge, "judge_id": judge_id,
                        **ruled(votes[prompt]), **cost(() if prompt in paid else votes[prompt])})
        paid.add(prompt)
    return {"rulings": rulings}


def ruled(completions: Sequence[Completion]) -> dict[str, Any]:
    """What more than half of the votes that were asked for say; undecided where there is no such ruling."""
    votes = Counter("failed" if c.dropped == "error" else read_ruling(c.text, c.complete is not False)
                    for c in completions)
    ruling = next((outcome for outcome in OUTCOMES[:2] if 2 * votes[outcome] > len(completions)), "undecided")
    return {"ruling": ruling, **{f"votes_{name}": votes[name] for name in OUTCOMES}}


def cost(completions: Sequence[Completion]) -> dict[str, int | None]:
    """Requests that were answered and that failed, and the tokens of the former."""
    answered = [completion for completion in completions if completion.dropped != "error"]
    return {"requests": len(answered), "failed": len(completions) - len(answered),
            "prompt_tokens": total(c.prompt_tokens for c in answered),
            "completion_tokens": total(c.completion_tokens for c in answered)}


def described(recipe: Recipe) -> dict[str, Any] | None:
    """The judge as the manifest tells it: model, votes, prompt and its version, sampling."""
    if recipe.verify.judge is None:
        return None
    generator = judging(recipe, recipe.verify.judge)
    return {"generator": recipe.verify.judge, "votes": recipe.verify.votes, "judge_id": generator_id(generator),
            "model": generator.model, "prompt_version": VERSION, "prompt_template": RULING,
            "sampling": sampling_of(generator)}


def settings(recipe: Recipe) -> Any:
    """What decides the rulings beside the verdicts by rules; null without a judge."""
    return recipe.verify.judge and [described(recipe), recipe.seed, ANSWERS_VERSION]


def rule(context: Context, name: str, by_rules: Path) -> tuple[int, dict[str, int]]:
    """Ask the judge about what the rules left undecided; writes `rulings` and `verdicts`.

    Returns the number of verdicts, and what was asked in numbers.
    """
    generator, work = judging(context.recipe, name), context.work / "rule"
    tables = {"verdicts": by_rules, **{name: context.table(name) for name in ("solutions", "problems")}}
    counts = context.query_by_bucket(Query(f"SELECT count(*)::BIGINT AS n FROM ({ASKED_SQL})", tables))
    problems = sum(row["n"] for row in counts)
    rollout = partial(rule_on_problem, options=context.recipe.verify, generator=generator, seed=context.recipe.seed)
    context.ask(Query(ASKED_SQL, tables), rollout, generator, (JOURNAL, generator_id(generator)),
                context.output(work, RULINGS), "verify: judge", problems)
    context.collect(RULINGS.name, [work])
    written = context.query_to_parts(RULED_SQL, {"verdicts": by_rules, "rulings": context.table(RULINGS.name)},
                                     VERDICTS.name)
    context.finish([work], "verify")
    with context.duckdb(RULINGS.name) as connection:
        return written, next(query_rows(connection, LEDGER_SQL))
