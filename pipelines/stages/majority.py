"""Problems without a gold answer take the one that their samples agree on.

In: `problems`, where an `agreement` without a parent marks such a problem, and `solutions`. Out: `problems` with the
answer of those on which enough samples agree, and the share that does. A sample that its file calls incorrect votes
for nothing, and one sample alone agrees with nobody. Where there is no agreement the answer stays empty, so that every
verdict on the problem is undecided. The vote is counted anew from the solutions whenever they change.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from stepforge.builders.sql import query_rows
from stepforge.builders.tables import PROBLEMS
from stepforge.pipelines.answers import AnyVerifier, open_verifier
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.options.stages import Verify
from stepforge.pipelines.stages.base import Context
from stepforge.pipelines.stages.synthesize.vote import election

LEAST = 2  # samples that give the answer
AWAITING = "agreement IS NOT NULL AND parent_id IS NULL"
COUNT_SQL = f"SELECT count(*)::BIGINT AS n FROM problems WHERE {AWAITING}"
SAMPLES_SQL = f"""
SELECT problem_id, complete, CASE WHEN upstream_verdict = 'incorrect' THEN '' ELSE solution END AS solution
FROM solutions JOIN problems USING (problem_id) WHERE {AWAITING}
ORDER BY problems.file_row_number, sample_index, solution_id
"""
VOTED_SQL = f"""
SELECT * REPLACE (CASE WHEN {AWAITING} THEN coalesce(won[problem_id], '') ELSE answer END AS answer,
                  CASE WHEN {AWAITING} THEN coalesce(share[problem_id], 0.0) ELSE agreement END AS agreement)
FROM problems, (SELECT map($ids::VARCHAR[], $answers::VARCHAR[]) AS won, map($ids, $shares::DOUBLE[]) AS share)
ORDER BY file_row_number
"""


class Agreement(NamedTuple):
    """The answer of a problem, empty where there is none, and the share of its samples that gives the commonest."""

    problem_id: str
    answer: str
    share: float


def awaiting(context: Context) -> int:
    """Problems without a gold of their own."""
    with context.duckdb("problems") as connection:
        return int(next(query_rows(connection, COUNT_SQL))["n"])


def vote(context: Context, options: Verify) -> dict[str, Any]:
    """Write the answers that the samples agree on into `problems`; returns what an account says of it."""
    total = awaiting(context)
    if not total:
        return {}
    with context.duckdb("solutions", "problems") as connection, open_verifier(**options.opening()) as verifier:
        votes = list(votes_of(query_rows(connection, SAMPLES_SQL), options.agreement, verifier))
    voted = context.work / "problems.parquet"
    context.query_to_table(VOTED_SQL, {"problems": context.table("problems")}, voted, PROBLEMS.schema, {
        "ids": [vote.problem_id for vote in votes], "answers": [vote.answer for vote in votes],
        "shares": [vote.share for vote in votes]})
    os.replace(voted, context.file("problems"))
    won = sum(bool(vote.answer) for vote in votes)
    facts: dict[str, Any] = {"majority": {"problems": total, "answered": won}}
    if won < total:
        facts["warnings"] = [f"{total - won:,} of {total:,} problems without gold have no answer that "
                             f"{options.agreement:.0%} of their samples give; their solutions are undecided"]
    return facts


def votes_of(samples: Iterable[dict], agreement: float, verifier: AnyVerifier) -> Iterator[Agreement]:
    """One vote for every problem, from its samples in a row."""
    for problem_id, group in groupby(samples, key=lambda row: row["problem_id"]):
        ends = {True: "stop", False: "length", None: "unknown"}
        given = [Completion(row["solution"], ends[row["complete"]], None, None, None) for row in group]
        result = election(given, agreement, verifier)
        share = result.agreement or 0.0
        answered = result.answer is not None and round(share * len(given)) >= LEAST
        yield Agreement(problem_id, result.answer or "" if answered else "", share)
