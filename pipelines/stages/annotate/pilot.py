"""The pilot of annotate: a few problems teach the chain model that the adaptive search then uses for all.

In: the problems of annotate.sql that are marked `pilot`, taken by hash. Out: the model fitted to the counts that the
search made on them, and what the manifest says of it. The pilot searches under the unfitted model; its rollouts are
those that annotate would make and stay in the tables, so that it costs nothing but the order of work. What it teaches
depends on these problems alone, not on ranks, workers or interruptions: evidence is put in the order of problem_id,
and the model is read back from its record, whose few digits hide what differs between machines in the last ones.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from datatrove.data import Document

from stepforge.pipelines.credit.adaptive import Adaptive, pit_threshold
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.runner import Generate
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.annotate.problem import Problem

TABLE = "evidence"


async def pilot_problem(document: Document, generate: Generate, *, policy: Policy, settings: Annotate
                        ) -> dict[str, list[dict[str, Any]]]:
    """What the search found out about one problem."""
    search = await Problem(document.metadata, policy, settings, generate).search()
    assert isinstance(search, Adaptive)
    return {TABLE: [{"problem_id": document.id, "threshold": pit_threshold(search.settings),
                     **search.evidence().record()}]}


def teach(folder: Path, ranks: int) -> tuple[Chain | None, dict[str, Any]]:
    """The fitted model (none where the pilot had no problem) and its record, from the pilot's working folder.

    Raises:
        StageFailed: the file of a rank is missing.
    """
    rows = sorted(_read(folder, ranks), key=lambda row: row["problem_id"])
    if not rows:
        return None, {}
    evidence = Counts.joined([Counts.of(row) for row in rows])
    record = Chain.default(rows[0]["threshold"]).fit(evidence).record()
    return Chain.of(record), {"pilot_problems": len(rows), "pilot_solutions": len(evidence.last), **record}


def _read(folder: Path, ranks: int) -> Iterator[dict[str, Any]]:
    paths = sorted((folder / "out" / TABLE).glob("*.jsonl"))
    if len(paths) != ranks:
        raise StageFailed(f"pilot: output of {ranks - len(paths)} of {ranks} ranks is missing; run again")
    for path in paths:
        yield from map(orjson.loads, path.read_bytes().splitlines())
