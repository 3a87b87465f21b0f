"""Looking into a run: what a recipe would make, and single solutions with their values.

In: the folder of a run. Out: plain rows for the command line.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from stepforge.builders.errors import SourceError, UserError
from stepforge.builders.sources.records import Drop, Record, read_records, require_columns
from stepforge.builders.sql import open_duckdb, query_rows
from stepforge.pipelines.answers import Claim, Verifier
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.journal import journal_lines
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.options.stages import Judge
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import MEMORY, run_tables

FIND_SQL = """
SELECT solutions.*, verdicts.* EXCLUDE (solution_id) FROM solutions JOIN verdicts USING (solution_id)
WHERE starts_with(solution_id, $id) LIMIT 2
"""
LIST_SQL = """
SELECT steps.solution_id, verdict, count(*) AS steps, max(CASE WHEN is_pit THEN step_index END) AS pit,
       min(advantage) AS worst
FROM steps JOIN verdicts USING (solution_id)
GROUP BY ALL ORDER BY verdict DESC, worst LIMIT 40
"""


def expectations(recipe: Recipe, folder: Path) -> dict[str, str]:
    """What the paid stages are expected to make, in words; from limits of the recipe and from journals."""
    limits = [source.limit for source in recipe.problems]
    problems = None if None in limits else sum(limit or 0 for limit in limits)
    if recipe.subset is not None:
        problems = min(problems or recipe.subset, recipe.subset)
    told = {"problems": f"up to {problems:,}" if problems is not None else "as many as the sources hold"}
    if recipe.synthesize is not None:
        new = recipe.synthesize
        drafts = f"at most {problems * new.per_seed:,}" if problems is not None else f"{new.per_seed} a problem,"
        told["synthesize"] = f"{drafts} drafts, {new.solutions} solutions of each"
        problems = None if problems is None else problems * (1 + new.per_seed)
    lines, calls = [], 0
    for generator in recipe.generators:
        if isinstance(generator, RecordedGenerator):
            lines.append(f"{generator.name}: recorded")
            continue
        have = journal_lines(folder / "generated" / generator_id(generator))
        if recipe.budget is not None and generator.samples:
            lines.append(f"{generator.name}: as many as the budget of {recipe.budget.per_problem} "
                         f"({recipe.budget.match}) buys, {have:,} in the journal")
        elif problems is not None:
            calls = problems * generator.samples
            most = max(0, calls - have) * generator.max_tokens
            lines.append(f"{generator.name}: {calls:,} solutions, {have:,} in the journal, "
                         f"at most {most:,} new tokens")
        else:
            lines.append(f"{generator.name}: {generator.samples} solutions a problem, {have:,} in the journal")
    told["generate"] = "; ".join(lines)
    if recipe.judge is not None:
        told["judge"] = _judging(recipe.judge, len(recipe.generators))
    if recipe.annotate is not None and problems is not None:
        solutions = problems * (recipe.annotate.negatives_per_problem + recipe.annotate.positives_per_problem)
        told["annotate"] = (f"at most {solutions:,} solutions, {recipe.annotate.rollouts} rollouts a step "
                            f"({recipe.annotate.search})")
    return told


def _judging(judge: Judge, generators: int) -> str:
    limits = (judge.correct_per_generator, judge.incorrect_per_generator)
    if None in limits:
        return f"{judge.votes} votes on every solution of a kind, at most {judge.max_tokens} new tokens each"
    votes = sum(limit or 0 for limit in limits) * generators * judge.votes
    return f"at most {votes:,} votes, at most {votes * judge.max_tokens:,} new tokens"


def solution(run: Path, prefix: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The problem, the solution with its verdict, and its steps.

    Raises:
        UserError: no solution has such an id, or more than one.
    """
    tables = run_tables(run, "problems", "solutions", "verdicts", "steps")
    with open_duckdb(MEMORY, run / "work" / "spill", tables) as connection:
        found = list(query_rows(connection, FIND_SQL, {"id": prefix}))
        if len(found) != 1:
            raise UserError(f"{'no solution' if not found else 'more than one solution'} has an id that starts with "
                            f"{prefix!r}; `stepforge show {run}` lists annotated ones")
        of_problem = {"id": found[0]["problem_id"]}
        problem = next(query_rows(connection, "SELECT * FROM problems WHERE problem_id = $id", of_problem))
        steps = list(query_rows(connection, "SELECT * FROM steps WHERE solution_id = $id ORDER BY step_index",
                                {"id": found[0]["solution_id"]}))
    return problem, found[0], steps


def annotated_table(run: Path) -> Table:
    """Up to 40 annotated solutions, incorrect ones with the deepest fall first."""
    table = Table("solution", "verdict", "steps", "pit", "lowest advantage")
    with open_duckdb(MEMORY, run / "work" / "spill", run_tables(run, "steps", "verdicts")) as connection:
        for row in query_rows(connection, LIST_SQL):
            pit = "" if row["pit"] is None else str(row["pit"])
            worst = "" if row["worst"] is None else f"{row['worst']:+.2f}"
            table.add_row(row["solution_id"][:12], row["verdict"], str(row["steps"]), pit, worst)
    return table


def verify_file(file: Path, gold: str, solution: str, out: Path | None, workers: int) -> Table:
    """Judge every row of a file; returns counts by verdict, reason and method, and writes a line a row to `out`."""
    dropped: Counter[str] = Counter()

    def records() -> Iterator[Record]:
        for record in read_records([str(file)]):
            if isinstance(record, Drop):
                dropped[record.reason] += 1
            else:
                require_columns(record, [gold, solution])
                yield record

    ours, theirs = tee(records())
    claims = (Claim(str(record.values[gold]), str(record.values[solution])) for record in theirs)
    counts: Counter[tuple[str, str, str]] = Counter()
    sink = out.open("wb") if out else None
    try:
        with Verifier(workers=workers) as verifier:
            for record, verdict in zip(ours, verifier.verify_many(claims), strict=True):
                counts[verdict.verdict, verdict.reason or "", verdict.method] += 1
                if sink:
                    sink.write(orjson.dumps({"row": record.where, **verdict._asdict()}) + b"\n")
    finally:
        if sink:
            sink.close()
    if not counts:
        raise SourceError(f"{file} holds no row that can be read; dropped: {dict(dropped)}")
    table = Table("verdict", "reason", "method", "rows")
    for (verdict_name, reason, method), count in sorted(counts.items()):
        table.add_row(verdict_name, reason, method, f"{count:,}")
    for reason, count in sorted(dropped.items()):
        table.add_row("not read", reason, "", f"{count:,}")
    return table
