"""Verify: is the final answer of each solution the gold answer?

In: `solutions` and the answers of `problems`. Out: `verdicts`, one for every solution: correct, incorrect or
undecided with a reason. Each rank has a verifier of its own, ours or the user's, whose slow work is done in processes
that are killed at their deadline (pipelines/answers). Problems that came without a gold answer first take that of
their samples (majority.py). A judge may rule on what stays undecided (judge.py); its `rulings` are empty without one.
Counted are the problems whose gold answer cannot be used.
"""

from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import RULINGS, VERDICTS
from stepforge.pipelines.answers import Claim, equation_key, first_false_step, open_verifier, versions
from stepforge.pipelines.answers.outcome import GOLD_UNPARSEABLE
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.options.stages import Verify
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import majority
from stepforge.pipelines.stages.base import Account, Context, Expected, Spent, Stage
from stepforge.pipelines.stages.shares import Query
from stepforge.pipelines.stages.verify import judge

CLAIMS_SQL = """
SELECT solution_id, problem_id, solution, complete, answer, solutions.file_row_number AS position
FROM solutions JOIN problems USING (problem_id)
"""
UNUSABLE_SQL = """
SELECT count(DISTINCT problem_id)::BIGINT AS n
FROM verdicts JOIN solutions USING (solution_id) WHERE verdict = 'undecided' AND reason = $reason
"""


class VerifyStep(PipelineStep):
    """Judges the document of every solution and writes rows of `verdicts`."""

    name = "stepforge verify"
    type = "verifier"

    def __init__(self, settings: Verify, output: TableOutput) -> None:
        super().__init__()
        self.settings = settings
        self.output = output

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        documents, claims = tee(data)
        with self.output as output, open_verifier(**self.settings.opening()) as verifier:
            output.open(rank, world_size)
            verdicts = verifier.verify_many(claim_of(document) for document in claims)
            for document, verdict in zip(documents, verdicts, strict=True):
                row = {"solution_id": document.metadata["solution_id"], **verdict._asdict()}
                row |= reasoning_of(document.metadata["solution"], verdict.verdict)
                facts = document.metadata
                output.write_tables({"verdicts": [row]}, rank, facts["position"], facts.get("bucket"),
                                    facts.get("bucket_size"))
        yield from ()


def claim_of(document: Document) -> Claim:
    row = document.metadata
    return Claim(row["answer"], row["solution"], row["complete"])


def reasoning_of(solution: str, verdict: str) -> dict[str, Any]:
    """What the equations say about the reasoning: a false one makes it unsound; none false proves nothing."""
    steps = solution.splitlines(keepends=True)
    false_step = first_false_step(steps)
    unsound = false_step is not None
    return {"equation_key": equation_key(solution), "false_step": false_step,
            "soundness": "unsound" if unsound else "undecided", "judged_by": "equations" if unsound else None}


def settings(recipe: Recipe) -> Any:
    return [recipe.verify.rules(), versions(recipe.verify.verifier), judge.settings(recipe)]


def run(context: Context) -> Account:
    work = context.work / "verify"
    facts = majority.vote(context, context.recipe.verify)
    context.settle("problems")
    tables = {name: context.table(name) for name in ("solutions", "problems")}
    step = VerifyStep(context.recipe.verify, context.output(work, VERDICTS))
    rows_in = count_rows(tables["solutions"])
    reader = context.reader(Query(CLAIMS_SQL, tables), step.output, "verify", rows_in)
    context.pipeline([reader, step], "verify", rows_in, work)
    if context.recipe.verify.judge is None:
        written = context.collect("verdicts", [work])
        write_rows(context.file("rulings"), [], RULINGS.schema)
        ledger: dict[str, int] = {}
    else:
        by_rules = context.work / ("verdicts" if context.buckets > 1 else "verdicts.parquet")
        context.collect("verdicts", [work], by_rules)
        written, ledger = judge.rule(context, context.recipe.verify.judge, by_rules)
        facts = {**facts, "judge": judge.described(context.recipe)}
    context.finish([work], "verify")
    facts |= _unusable_golds(context, facts)
    return Account(rows_in, written, ledger=ledger, facts=facts, failed=ledger.get("failed", 0))


def _unusable_golds(context: Context, facts: dict[str, Any]) -> dict[str, Any]:
    """How many problems with solutions have a gold answer that cannot be used, and the warning that says so."""
    with context.duckdb("solutions", "verdicts") as connection:
        count = next(query_rows(connection, UNUSABLE_SQL, {"reason": GOLD_UNPARSEABLE}))["n"]
    if not count:
        return {}
    sentence = f"{count:,} problems have no usable gold answer, so their solutions are undecided"
    return {"unusable_golds": count, "warnings": [*facts.get("warnings", ()), sentence]}


def spent(recipe: Recipe) -> Spent | None:
    """The requests for rulings."""
    return None if recipe.verify.judge is None else Spent(judge.SPENT_SQL)


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected | None:
    options = recipe.verify
    if options.judge is None:
        return None
    return Expected(f"{options.votes} votes on each answer that stays undecided, at most "
                    f"{options.votes * options.judge_tokens:,} new tokens", problems)


STAGE = Stage("verify", 3, ("decontaminate", "generate"), settings, run, ("verdicts", "rulings"),
              journal=judge.JOURNAL, spent=spent, expects=expects,
              described=("verifier", lambda context: versions(context.recipe.verify.verifier)))
