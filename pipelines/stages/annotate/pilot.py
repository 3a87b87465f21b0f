"""The pilot of annotate: a few problems teach the chain model that the adaptive search then uses for all.

In: the problems of annotate.sql that are marked `pilot`, taken by hash. Out: the model fitted to the counts that the
search made on them and to the lengths of their rollouts, and what the manifest says of it. The pilot searches under
the unfitted model; its rollouts are those that annotate would make and stay in the tables, so that it costs nothing
but the order of work. What it teaches depends on these problems alone, not on ranks, workers or interruptions:
evidence is put in the order of problem_id, and the model is read back from its record, whose few digits hide what
differs between machines in the last ones.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from datatrove.data import Document

from stepforge.builders.parquet import read_rows
from stepforge.builders.tables import REAL, TEXT, Table, column
from stepforge.pipelines.credit import lengths
from stepforge.pipelines.credit.adaptive import Adaptive, pit_threshold
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.fit import fitted_model
from stepforge.pipelines.credit.lengths import Seen
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.inference.runner import Generate
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.annotate.problem import Problem

EVIDENCE = Table("evidence", ("problem_id",), pa.schema([
    column("problem_id", TEXT, "Problem of the pilot."),
    column("threshold", REAL, "q at or below which a step is a candidate for the pit."),
    column("known", TEXT, "JSON of the counts that the search had after each of its rounds."),
    column("typical", REAL, "Mean length of a solution, in characters."),
    column("lengths", TEXT, "JSON: for each step, how long its rollouts got (credit/lengths.py)."),
]))


async def pilot_problem(document: Document, generate: Generate, *, policy: Policy, settings: Annotate
                        ) -> dict[str, list[dict[str, Any]]]:
    """What the search found out about one problem."""
    search = await Problem(document.metadata, policy, settings, generate).search()
    assert isinstance(search, Adaptive)
    known = orjson.dumps([counts.record() for counts in (*search.history, search.evidence())]).decode()
    return {EVIDENCE.name: [{"problem_id": document.id, "threshold": pit_threshold(search.settings), "known": known,
                             "typical": search.settings.typical_length,
                             "lengths": orjson.dumps([list(each) for each in search.lengths()]).decode()}]}


def teach(parts: Iterable[Path]) -> tuple[Chain | None, dict[str, Any]]:
    """The fitted model (none where the pilot had no problem, or no model fits) and its record, from parts of
    `evidence`.
    """
    rows = sorted((row for part in parts for row in read_rows(part)), key=lambda row: row["problem_id"])
    if not rows:
        return None, {}
    known = [[Counts.of(counts) for counts in orjson.loads(row["known"])] for row in rows]
    chain, fit = fitted_model(known, rows[0]["threshold"])
    facts = {"pilot_problems": len(rows), "pilot_solutions": sum(len(counts[-1].last) for counts in known), "fit": fit}
    if chain is None:
        return None, facts
    seen = [Seen(*each) for row in rows for each in orjson.loads(row["lengths"])]
    record = replace(chain, lengths=lengths.fit(seen, rows[0]["typical"])).record()
    return Chain.of(record), {**facts, **record}
