"""The rows of all configs, out of the tables of a run: in this process, or bucket by bucket by ranks.

In: the tables, and what is decided once for the whole run, such as the split of every problem. Out: one Parquet table
per config. A rank reads the parts of its buckets alone and writes those of the configs; once all parts of a bucket are
there, it writes what it counted. What rows need of all buckets is added as they go into the release
(builders/configs).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders import configs
from stepforge.builders.errors import StageFailed
from stepforge.builders.files import replacing
from stepforge.builders.parquet import Finish, count_rows, part_name, parts_of, write_rows
from stepforge.builders.release import split_groups
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import BOOL, INT, TEXT
from stepforge.pipelines.answers import first_false_step
from stepforge.pipelines.answers.extract import text_behind
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.options.generators import Generator
from stepforge.pipelines.progress import RankProgress
from stepforge.pipelines.run_folder import damage_told
from stepforge.pipelines.stages.base import Context
from stepforge.pipelines.stages.buckets import write_parts
from stepforge.pipelines.stages.generate.recorded import models
from stepforge.pipelines.stages.shares import open_bucket

INPUTS = ("problems", "solutions", "verdicts", "judgements", "duplicates", "steps", "rollouts", "alternatives")
PROMPTS = pa.schema([pa.field(name, TEXT, nullable=False) for name in ("generator", "problem_id", "prompt", "split")])
TAILS = pa.schema([pa.field("solution_id", TEXT, nullable=False), pa.field("behind", INT, nullable=False),
                   pa.field("runs_on", BOOL, nullable=False),
                   pa.field("unsound", BOOL)])  # of rollouts; verdicts say it of solutions
GROUPS = pa.schema([pa.field(name, TEXT, nullable=False) for name in ("group_id", "split")])
SPLITS = pa.schema([pa.field(name, TEXT, nullable=False) for name in ("problem_id", "split")])
GROUPS_SQL = """
WITH named AS (  -- a corrected gold gives a problem another id, so its text counts too
    SELECT problem_id, split FROM kept
    UNION SELECT problems.problem_id, kept.split FROM problems JOIN kept USING (problem)
)
SELECT DISTINCT group_id, problems.split, named.split AS kept FROM problems LEFT JOIN named USING (problem_id)
ORDER BY ALL
"""
SPLITS_SQL = """
SELECT problem_id, groups.split, bucket_of(problem_id, $buckets) AS bucket
FROM problems JOIN groups USING (group_id) ORDER BY bucket, problems.file_row_number
"""
PROBLEMS_SQL = """
SELECT problem_id, problem, splits.split
FROM problems JOIN splits USING (problem_id) ORDER BY problems.file_row_number
"""


@dataclass(frozen=True)
class Making:
    """What rows are made of, decided once for the whole run.

    Attributes:
        tables: by name, with `splits`, the split of every problem.
        options: what statements read, with `any_steps`: whether any solution of the run is annotated.
        writers: generators whose prompts rows have, and models that recorded samples name.
    """

    configs: tuple[str, ...]
    tables: Mapping[str, Path]
    options: Mapping[str, object]
    writers: tuple[Generator, ...]
    memory: str

    def inputs(self, folder: Path, bucket: int | None = None) -> dict[str, Path]:
        """The tables with `prompts` and `tails` of one bucket or all, which are written to `folder`."""
        names = ["problems", "splits", "solutions", "verdicts"]
        if self.options["rollout_positives"]:
            names += ["steps", "rollouts"]
        read = {name: self.tables[name] for name in names}
        prompts, behind = folder / "prompts.parquet", folder / "tails.parquet"
        with open_bucket(self.memory, folder / "spill", read, bucket) as connection:
            write_rows(prompts, prompt_rows(connection, self.writers), PROMPTS)
            found = tails(connection)
            if self.options["rollout_positives"]:
                configs.see_rollouts(connection, self.options)
                found = chain(found, rollout_tails(connection))
            write_rows(behind, found, TAILS)
        return {**self.tables, "prompts": prompts, "tails": behind}


class Rows(NamedTuple):
    """Tables by config, what finishes their rows, the number of rows, and what was left out."""

    tables: dict[str, Path]
    finish: dict[str, Finish]
    counts: dict[str, int]
    left: configs.Left


class BuildStep(PipelineStep):
    """Writes the parts of all configs for the buckets of its rank, and what it counted to FOLDER/made/BUCKET.json."""

    name = "stepforge build"
    type = "builder"

    def __init__(self, making: Making, folder: Path, buckets: int) -> None:
        super().__init__()
        self.making = making
        self.folder = folder
        self.buckets = buckets

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        making, scratch = self.making, self.folder / "scratch" / f"{rank:05d}"
        progress = RankProgress(self.folder, rank)
        for bucket in range(rank, self.buckets, world_size):
            mark = made_path(self.folder, bucket)
            if mark.exists():
                continue
            with damage_told(part for table in making.tables.values() for part in parts_of(table, bucket)):
                made = configs.build_bucket(making.configs, making.inputs(scratch, bucket), making.options,
                                            self.folder / "configs", making.memory, bucket, self.buckets)
            with replacing(mark) as temporary:
                temporary.write_bytes(orjson.dumps(made._asdict()))
            progress.count({"documents": sum(map(count_rows, parts_of(making.tables["problems"], bucket)))})
        progress.tell()
        yield from ()


def made_path(folder: Path, bucket: int) -> Path:
    return folder / "made" / f"{bucket:05d}.json"


def decide(context: Context, names: tuple[str, ...], options: Mapping[str, object]) -> Making:
    """What the rows of these configs are made of in this run."""
    recipe, tables = context.recipe, {name: context.table(name) for name in INPUTS}
    with context.tell(context.work, "build: splits", 0):
        tables["splits"] = _write_splits(context)
        writers = (*recipe.generators, *(named for named, _ in models(recipe, tables["solutions"])))
    known = {**options, "any_steps": count_rows(tables["steps"]) > 0}
    return Making(names, tables, known, writers, recipe.executor.duckdb_memory)


def _write_splits(context: Context) -> Path:
    """Write `splits`: whole groups share a split, and they lie in several buckets."""
    groups, kept, table = context.work / "groups.parquet", context.work / "kept.parquet", context.work / "splits"
    recipe, buckets = context.recipe, context.buckets
    _write_kept(context, kept)
    with context.duckdb("problems", kept=kept) as connection:
        problems = ((row["group_id"], row["split"], row["kept"]) for row in query_rows(connection, GROUPS_SQL))
        splits = split_groups(problems, recipe.seed, dict(recipe.release.splits))
        write_rows(groups, ({"group_id": group, "split": split} for group, split in splits), GROUPS)
    paths = [table / part_name(bucket, buckets) for bucket in range(buckets)]
    with context.duckdb("problems", groups=groups) as connection:
        write_parts(connection, SPLITS_SQL, {"buckets": buckets}, paths, SPLITS)
    return table


def _write_kept(context: Context, path: Path) -> None:
    """Write the splits that the recipe asks to keep, none where it asks for none.

    Raises:
        StageFailed: the version that it names has no problem of this run.
    """
    if (address := context.recipe.release.keep_splits) is None:
        write_rows(path, (), SPLITS.append(pa.field("problem", TEXT)))
        return
    from stepforge.cards.kept_splits import write_kept_splits  # the Hub's client is slow to import

    there = write_kept_splits(address, path)
    with context.duckdb("problems", kept=path) as connection:
        ((common,),) = connection.execute("SELECT count(*) FROM kept WHERE problem_id IN "
                                        "(SELECT problem_id FROM problems) OR problem IN "
                                        "(SELECT problem FROM problems)").fetchall()
    if not common:
        raise StageFailed(f"release.keep_splits: none of the {there:,} problems of {address} is in this run, so no "
                          "split would be kept. Name another version, or leave the option out")


@contextmanager
def rows_of_configs(context: Context, making: Making) -> Iterator[Rows]:
    """The rows of all configs, while the block runs; those of a run of one bucket are made in this process."""
    if context.buckets == 1:
        with context.tell(context.work, "build", 0):
            folder = context.work / "configs"
            counts, left = configs.build_with_account(making.configs, making.inputs(context.work), making.options,
                                                      folder, making.memory)
            yield Rows({name: folder / f"{name}.parquet" for name in making.configs}, {}, counts, left)
        return
    work = context.work / "build"
    problems = count_rows(making.tables["problems"])
    context.pipeline([BuildStep(making, work, context.buckets)], "build", problems, work)
    counts, excluded = _collect(work, context.buckets)
    folder = work / "configs"
    with (context.tell(context.work, "build: release", 0),
          configs.finishing(making.configs, folder, context.table("candidates"), making.memory) as (finish, weights)):
        tables = {name: folder / name for name in making.configs}
        yield Rows(tables, finish, counts, configs.Left(excluded, weights))
    context.finish([work], "build")


def _collect(work: Path, buckets: int) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Rows by config, and those left out by config and reason, of all buckets.

    Raises:
        StageFailed: a bucket is missing.
    """
    marks = [mark for bucket in range(buckets) if (mark := made_path(work, bucket)).exists()]
    if missing := buckets - len(marks):
        raise StageFailed(f"build: output of {missing} of {buckets} buckets is missing; run again")
    rows: Counter[str] = Counter()
    left: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mark in marks:
        made = configs.Made(**orjson.loads(mark.read_bytes()))
        rows.update(made.rows)
        for config, reasons in made.excluded.items():
            left[config].update(reasons)
    return dict(rows), {config: dict(sorted(left[config].items())) for config in sorted(left)}


def tails(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """The tails of correct solutions that continue behind their answer; the connection sees both tables."""
    sql = "SELECT solution_id, solution FROM solutions JOIN verdicts USING (solution_id) WHERE verdict = 'correct'"
    for row in query_rows(connection, sql):
        if (behind := text_behind(row["solution"])).characters:
            yield {"solution_id": row["solution_id"], "behind": behind.characters, "runs_on": behind.runs_on}


def rollout_tails(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """The same of rollouts that become positives, and which of them equations disprove, as they do samples."""
    for row in query_rows(connection, "SELECT solution_id, solution FROM rollout_text WHERE verdict = 'correct'"):
        behind = text_behind(row["solution"])
        unsound = first_false_step(row["solution"].splitlines(keepends=True)) is not None
        if behind.characters or unsound:
            yield {"solution_id": row["solution_id"], "behind": behind.characters, "runs_on": behind.runs_on,
                   "unsound": unsound}


def prompt_rows(connection: duckdb.DuckDBPyConnection, writers: tuple[Generator, ...]) -> Iterator[dict[str, str]]:
    """The prompt of every problem under every generator's template, and the problem's split."""
    for row in query_rows(connection, PROBLEMS_SQL):
        for generator in writers:
            prompt = render(generator.prompt, row["problem"], generator.model)
            yield {"generator": generator.name, "problem_id": row["problem_id"], "prompt": prompt,
                   "split": row["split"]}
