"""Problems: from the recipe's sources into one table.

In: the sources of the recipe. Out: `seeds`, in the order of the recipe, each problem once. Dropped with a reason:
rows that cannot be read, rows without a problem or a gold answer (`no_gold`), a problem that came before
(`duplicate`), and problems of one text with two gold answers (`two_golds`, golds.py). Where the recipe asks for a
subset, the others are counted as `not_drawn`; they are no table of drops.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sources import arithmetic, files, public, star_graph, terse_teacher
from stepforge.builders.sources.hub import read_hub
from stepforge.builders.sources.mapping import Column, roots
from stepforge.builders.sources.records import Drop, Record, expand, read_records
from stepforge.builders.tables import PROBLEMS, content_id
from stepforge.pipelines.options.sources import (
    ArithmeticSource,
    FilesSource,
    PublicSource,
    Rows,
    Source,
    StarGraphSource,
    TerseTeacherSource,
)
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Expected, Stage, drop_row
from stepforge.pipelines.stages.losses import Losses, warned
from stepforge.pipelines.stages.problems.golds import STRICT, Golds, with_stated_answer
from stepforge.pipelines.stages.problems.grouping import merge_groups

NOT_DRAWN = "not_drawn"
# The problems with the smallest hashes, so that a larger subset holds the smaller one.
DRAWN_SQL = """
SELECT * EXCLUDE (file_row_number) FROM (
    SELECT *, file_row_number AS position FROM found ORDER BY md5($seed || problem_id), problem_id LIMIT $subset
) ORDER BY position
"""
LEFT_SQL = """
SELECT * EXCLUDE (file_row_number) FROM seeds WHERE NOT list_contains($refused::VARCHAR[], problem_id)
ORDER BY file_row_number
"""
# A problem that is dropped as a duplicate leaves its split to the one that stays, where it is the stricter one.
SPLITS_SQL = """
SELECT seeds.* EXCLUDE (file_row_number) REPLACE (coalesce(stricter.split, seeds.split) AS split)
FROM seeds LEFT JOIN (SELECT unnest($moved::VARCHAR[]) AS problem_id, unnest($splits::VARCHAR[]) AS split) AS stricter
    USING (problem_id)
ORDER BY seeds.file_row_number
"""


def rows_of(source: Source) -> Iterator[dict | Drop]:
    """Rows of a source, cut at its limit; rows that are dropped do not count against it."""
    limit = source.limit
    rows: Iterator[dict | Drop]
    match source:
        case ArithmeticSource():
            rows = arithmetic.generate(source.limit, source.seed, source.split, source.steps, source.max_operand)
        case StarGraphSource():
            rows = star_graph.generate(source.limit, source.seed, source.split, source.degree, source.path_length,
                                       source.nodes)
        case TerseTeacherSource():
            rows = terse_teacher.generate(source.limit, source.seed, source.split, source.operations, source.modulus,
                                          source.double)
        case FilesSource():
            rows = files.load(records_of(source, source.columns), source.columns, source.source, source.split,
                              source.license, source.answer == "majority" or source.answer_from is not None)
            if source.answer_from is not None:
                rows = map(partial(with_stated_answer, required=source.answer == "gold"), rows)
        case PublicSource():
            rows = public.load(source.source, source.path, source.hub, source.revision, source.split)
            rows = (row if isinstance(row, Drop) or row["answer"] else with_stated_answer(row, True) for row in rows)
    kept = 0
    for row in rows:
        kept += not isinstance(row, Drop)
        yield row
        if limit is not None and kept >= limit:
            return


def records_of(place: Rows, columns: Mapping[str, str]) -> Iterator[Record | Drop]:
    """The rows of files or of the Hub, those columns alone that a mapping reads where that saves reading."""
    needed = roots({name: Column(text) for name, text in columns.items()})
    if place.hub is not None:
        return read_hub(place.hub, place.config, place.hub_split, place.revision, needed)
    return read_records(place.paths, needed)


def settings(recipe: Recipe) -> Any:
    """The sources as the recipe states them, and the hash of every local file that they read."""
    drawn = [] if recipe.subset is None else [recipe.subset, recipe.seed]
    versions = [arithmetic.VERSION, star_graph.VERSION, terse_teacher.VERSION, STRICT]
    return [stated_sources(recipe.problems), *versions, recipe.deduplicate.near_problems, *drawn]


def stated_sources(sources: Iterable[Source]) -> list[Any]:
    """Sources as they are stated, each with the hashes of the local files that it reads."""
    identities = []
    for source in sources:
        paths: list[str] = []
        if isinstance(source, FilesSource):
            paths = source.paths
        elif isinstance(source, PublicSource) and source.path:
            paths = [source.path]
        identities.append([source.model_dump(mode="json"), [file_hash(str(path)) for path in expand(paths)]])
    return identities


def file_hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(context: Context) -> Account:
    drops: list[dict] = []
    golds = Golds()
    losses = [Losses(f"problems[{n}] ({source.source})") for n, source in enumerate(context.recipe.problems)]

    def rows() -> Iterator[dict]:
        for source, loss in zip(context.recipe.problems, losses, strict=True):
            for row in rows_of(source):
                if isinstance(row, dict):
                    row = {"problem_id": content_id("problem", row["problem"], row["answer"])} | row
                drop = row if isinstance(row, Drop) else golds.place(row)
                if drop is None and isinstance(row, dict):
                    loss.add(1)
                    yield row if row["answer"] is not None else row | {"answer": "", "agreement": 0.0}
                elif drop is not None:
                    loss.add(0, [drop])
                    drops.append(drop_row("problems", *drop))

    with context.tell(context.work, "problems", sum(s.limit or 0 for s in context.recipe.problems)):
        written = write_rows(context.table("seeds"), rows(), PROBLEMS.schema)
    if golds.refused:
        seeds = context.table("seeds")
        context.query_to_table(LEFT_SQL, {"seeds": seeds}, seeds, PROBLEMS.schema, {"refused": list(golds.refused)})
        drops += [drop_row("problems", *drop) for drop in golds.refused.values()]
        written -= len(golds.refused)
    if golds.splits:
        context.query_to_table(SPLITS_SQL, {"seeds": context.table("seeds")}, context.table("seeds"), PROBLEMS.schema,
                               {"moved": list(golds.splits), "splits": list(golds.splits.values())})
    dropped = context.keep_drops("problems", drops)
    if not written:
        raise next((loss for loss in losses if not loss.kept), losses[0]).nothing(context.drops("problems"))
    if context.recipe.subset is not None:
        _draw(context, context.recipe.subset)
    facts = warned(losses)
    if (near := context.recipe.deduplicate.near_problems) is not None:
        facts |= merge_groups(context, near)
    kept = count_rows(context.table("seeds"))
    not_drawn = {NOT_DRAWN: written - kept} if kept < written else {}
    return Account(written + len(drops), kept, dropped | not_drawn, facts=facts)


def _draw(context: Context, subset: int) -> None:
    """Leave a random subset in `seeds`, in the old order."""
    seeds = context.table("seeds")
    context.query_to_table(DRAWN_SQL, {"found": seeds}, seeds, PROBLEMS.schema,
                           {"seed": str(context.recipe.seed), "subset": subset})


def expects(recipe: Recipe, problems: int | None, folder: Path) -> Expected:
    """What the limits of the sources and of the recipe allow."""
    limits = [source.limit for source in recipe.problems]
    problems = None if None in limits else sum(limit or 0 for limit in limits)
    if recipe.subset is not None:
        problems = min(problems or recipe.subset, recipe.subset)
    return Expected("as many as the sources hold" if problems is None else f"up to {problems:,}", problems)


STAGE = Stage("problems", 9, (), settings, run, ("seeds",), expects=expects, loses="")
