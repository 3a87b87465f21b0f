"""Decontaminate: training problems that stand in evaluation sets, verbatim or reworded a little, are left out.

In: `candidates`, and the evaluation sets that the recipe names. Out: `problems`, what is left, and `contamination`,
every match with its rule and what became of it (decontaminate.sql). Dropped with the rule as reason: `exact` and
`ngrams`; the same problem with other numbers (`numbers_masked`) is flagged, or dropped where the recipe says so.
Problems of an upstream test split are never trained on and pass. Without `decontaminate` in the recipe nothing is
compared.
"""

import shutil
from collections.abc import Iterator
from typing import Any

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sources.records import Drop
from stepforge.builders.sql import load_sql, query_rows, query_to_parquet
from stepforge.builders.tables import CONTAMINATION, EVALUATIONS, PROBLEMS
from stepforge.pipelines.options.sources import FilesSource, Source
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage
from stepforge.pipelines.stages.problems import rows_of, stated_sources

KEPT_SQL = """
SELECT * EXCLUDE (file_row_number) FROM candidates
WHERE problem_id NOT IN (SELECT problem_id FROM contamination WHERE outcome = 'dropped') ORDER BY file_row_number
"""
DROPS_SQL = """
SELECT 'decontaminate' AS stage, problem_id AS row_id, rule AS reason,
       'like ' || evaluation_id || ' of ' || evaluation AS detail
FROM contamination WHERE outcome = 'dropped'
QUALIFY row_number() OVER (PARTITION BY problem_id ORDER BY file_row_number) = 1 ORDER BY problem_id
"""
FOUND_SQL = """
SELECT evaluations.evaluation, count(*)::BIGINT AS compared, rule, outcome,
       coalesce(any_value(n), 0)::BIGINT AS problems
FROM evaluations LEFT JOIN (
    SELECT evaluation, rule, outcome, count(DISTINCT problem_id) AS n FROM contamination GROUP BY ALL
) AS found USING (evaluation)
GROUP BY evaluations.evaluation, rule, outcome ORDER BY ALL
"""


def settings(recipe: Recipe) -> Any:
    options = recipe.decontaminate
    return options and [options.model_dump(mode="json", exclude={"against"}), stated_sources(options.against)]


def run(context: Context) -> Account:
    candidates, options = context.table("candidates"), context.recipe.decontaminate
    total = count_rows(candidates)
    if any(isinstance(source, FilesSource) and source.answer == "majority" for source in context.recipe.problems):
        context.file("verdicts").unlink(missing_ok=True)  # verify writes answers into `problems`: let it do so again
    if options is None:
        with replacing(context.file("problems")) as temporary:
            shutil.copyfile(candidates, temporary)
        for table in (CONTAMINATION, EVALUATIONS):
            write_rows(context.file(table.name), [], table.schema)
        return Account.kept(total)
    with context.tell(context.work, "decontaminate", total):
        write_rows(context.table("evaluations"), evaluation_rows(options.against), EVALUATIONS.schema)
        with context.duckdb("candidates", "evaluations") as connection:
            rule = {"ngram": options.ngram, "overlap": options.overlap, "other_numbers": options.other_numbers}
            query_to_parquet(connection, load_sql(__package__, "decontaminate"), rule, context.table("contamination"),
                             CONTAMINATION.schema)
        with context.duckdb("candidates", "contamination") as connection:
            kept = query_to_parquet(connection, KEPT_SQL, {}, context.file("problems"), PROBLEMS.schema)
            dropped = context.keep_drops("decontaminate", query_rows(connection, DROPS_SQL))
    if not kept:
        raise UserError(f"decontaminate: all {total} problems are in the evaluation sets; see "
                        f"{context.table('contamination')}")
    return Account(total, kept, dropped)


def evaluation_rows(sources: tuple[Source, ...]) -> Iterator[dict[str, str]]:
    """Problems of all evaluation sets; an unreadable row is an error, since a problem unread is a problem missed.

    Raises:
        UserError: a row cannot be read, or a set is empty.
    """
    for source in sources:
        name, read = evaluation_name(source), 0
        needs_no_gold = {"answer": "majority"} if isinstance(source, FilesSource) else {}
        for row in rows_of(source.model_copy(update=needs_no_gold)):
            if isinstance(row, Drop):
                raise UserError(f"decontaminate.against: {row.where} of {name} cannot be compared ({row.detail}); "
                                "correct the row or remove it")
            read += 1
            yield {"evaluation": name, "evaluation_id": row["source_id"], "problem": row["problem"]}
        if not read:
            raise UserError(f"decontaminate.against: {name} holds no problem")


def evaluation_name(source: Source) -> str:
    return ", ".join(source.paths) if isinstance(source, FilesSource) else f"{source.source} {source.split}"


def described(context: Context) -> dict[str, Any] | None:
    """What was compared and found, for the manifest: counts alone, no text of an evaluation set."""
    options = context.recipe.decontaminate
    if options is None:
        return None
    with context.duckdb("evaluations", "contamination") as connection:
        overlaps = list(query_rows(connection, FOUND_SQL))
    return {"ngram": options.ngram, "overlap": options.overlap, "other_numbers": options.other_numbers,
            "found": overlaps}


STAGE = Stage("decontaminate", 1, ("synthesize",), settings, run, ("problems", "contamination", "evaluations"),
              described=("decontamination", described), loses="contaminated: ")
