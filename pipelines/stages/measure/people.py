"""What people found in the solutions that they read: false-positive rates by generator, and agreement with machines.

In: RUN/audits/samples/*.parquet (which solutions were drawn, of which strata) and RUN/audits/NAME.parquet (what NAME
says of them), beside the tables of the run. Out: rows of `measures`, and pairs of opinions. Where several people read
one solution, what most of them say counts; a draw leaves it open, as `unsure` does.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from stepforge.builders.sql import query_rows
from stepforge.pipelines.run_folder import audit_samples_path, audits_path
from stepforge.pipelines.statistics.intervals import Rate, Stratum, stratified_rate

OPINIONS_SQL = """
SELECT sample.audit_id, sample.solution_id, sample.generator, sample.verdict, sample.stratum, sample.population,
       list(audit.soundness ORDER BY audit.filename) AS soundness,
       list(audit.first_error ORDER BY audit.filename) AS first_error,
       any_value(verdicts.soundness) AS equations, any_value(judgements.soundness) AS judge,
       any_value(judgements.first_error) AS judge_step
FROM read_parquet($samples) AS sample
JOIN verdicts USING (solution_id)
LEFT JOIN judgements USING (solution_id)
LEFT JOIN read_parquet($audits, filename = true) AS audit USING (audit_id, solution_id)
GROUP BY ALL ORDER BY sample.audit_id, sample.solution_id
"""

SAID_SQL = """
WITH votes AS (
    SELECT solution_id, count(*) FILTER (soundness = 'sound') - count(*) FILTER (soundness = 'unsound') AS lead
    FROM read_parquet($audits) GROUP BY solution_id
)
SELECT CASE WHEN lead > 0 THEN 'sound' ELSE 'unsound' END AS soundness, list(solution_id ORDER BY solution_id)
FROM votes WHERE lead <> 0 GROUP BY 1
"""


class Opinion(NamedTuple):
    """What people and machines say of one solution; `people` is None where people left it open."""

    audit_id: str
    generator: str
    verdict: str
    stratum: str
    population: int
    people: str | None
    people_step: int | None
    equations: str | None
    judge: str | None
    judge_step: int | None


def audit_files(folder: Path) -> list[Path]:
    """One file for each person."""
    return sorted(audits_path(folder).glob("*.parquet"))


def sample_files(folder: Path) -> list[Path]:
    """One file for each export."""
    return sorted(audit_samples_path(folder).glob("*.parquet"))


def audit_hashes(folder: Path) -> list[str]:
    """What changes when people say something new. Answers name their sample, whose id is the hash of all it holds."""
    return [sha256(path.read_bytes()).hexdigest() for path in audit_files(folder)]


def read_opinions(folder: Path, connection: duckdb.DuckDBPyConnection) -> list[Opinion]:
    """Every solution of samples that someone answered; the connection sees `verdicts` and `judgements`."""
    audits = [str(path) for path in audit_files(folder)]
    if not audits:
        return []
    files = {"samples": [str(path) for path in sample_files(folder)], "audits": audits}
    rows = [_opinion(row) for row in query_rows(connection, OPINIONS_SQL, files)]
    answered = {opinion.audit_id for opinion in rows if opinion.people}
    return [opinion for opinion in rows if opinion.audit_id in answered]


def said(folder: Path) -> dict[str, list[str]]:
    """The solutions that most of their readers call sound, and those that they call unsound."""
    if not (audits := [str(path) for path in audit_files(folder)]):
        return {}
    with duckdb.connect() as connection:
        rows = connection.execute(SAID_SQL, {"audits": audits}).fetchall()
    return {f"people_{soundness}": ids for soundness, ids in rows}


def _opinion(row: dict[str, Any]) -> Opinion:
    said = Counter(value for value in row["soundness"] if value in ("sound", "unsound"))
    people = "sound" if said["sound"] > said["unsound"] else "unsound" if said["unsound"] > said["sound"] else None
    steps = Counter(step for value, step in zip(row["soundness"], row["first_error"], strict=True)
                    if value == "unsound" and step is not None)
    step = min(steps, key=lambda step: (-steps[step], step)) if people == "unsound" and steps else None
    return Opinion(row["audit_id"], row["generator"], row["verdict"], row["stratum"], row["population"], people, step,
                   row["equations"], row["judge"], row["judge_step"])


def rates(opinions: Iterable[Opinion]) -> Iterator[tuple[str, Rate]]:
    """By generator, the share of correct solutions that people find unsound, weighted back to the strata."""
    strata_of: defaultdict[str, defaultdict[str, dict[str, Stratum]]] = defaultdict(lambda: defaultdict(dict))
    for opinion in opinions:
        if opinion.verdict == "correct":
            strata = strata_of[opinion.generator][opinion.audit_id]
            size, judged, hits = strata.get(opinion.stratum, Stratum(opinion.population, 0, 0))
            strata[opinion.stratum] = Stratum(size, judged + (opinion.people is not None),
                                              hits + (opinion.people == "unsound"))
    for generator, samples in sorted(strata_of.items()):
        if rate := stratified_rate([list(strata.values()) for strata in samples.values()]):
            yield generator, rate


def measures(opinions: Iterable[Opinion]) -> list[dict[str, Any]]:
    """The same as rows of `measures`."""
    return [{"generator": generator, "by": "all", "group": "all", "measure": "false_positive_rate_people", "k": None,
             "value": rate.share, "low": rate.low, "high": rate.high, "interval": "stratified", "n": rate.judged,
             "excluded": rate.open}
            for generator, rate in rates(opinions)]
