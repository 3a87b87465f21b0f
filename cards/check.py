"""Check a release as its user would: that it is what its manifest says, and that its configs fit together.

In goes a release folder or a version at a target; out comes a list of problems, empty for a sound release. The tests
on rows are SQL over views of fixed names, one statement a test, so each can be read and run alone.
"""

from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow.parquet as pq
from duckdb import ColumnExpression, ConstantExpression
from rich.table import Table

from stepforge.builders.release import SPLITS, read_manifest, sha256_file
from stepforge.cards.semver import parse_tag
from stepforge.cards.versions import fetch

# Which ids of a config name solutions, and what verdict such a solution must have.
SOLUTIONS_OF = (
    ("positives", "solution_id", "correct"), ("negatives", "solution_id", "incorrect"),
    ("pairs", "chosen_id", "correct"), ("pairs", "rejected_id", "incorrect"),
    ("step_pairs", "chosen_id", "correct"), ("step_pairs", "rejected_id", "incorrect"),
    ("unpaired", "solution_id", "any"), ("stepwise", "solution_id", "any"), ("weighted", "solution_id", "any"),
    ("positives_chat", "solution_id", "correct"), ("negatives_chat", "solution_id", "incorrect"),
    ("unpaired_chat", "solution_id", "any"), ("pairs_chat", "chosen_id", "correct"),
    ("pairs_chat", "rejected_id", "incorrect"), ("steps", "solution_id", "any"), ("rollouts", "solution_id", "any"),
)
TRAINING = ("positives", "negatives", "unpaired", "pairs", "step_pairs", "stepwise", "weighted")


class RowTest(NamedTuple):
    """A statement that finds bad rows as (config, id), over the views that it needs."""

    says: str
    needs: tuple[str, ...]
    sql: str


# `uses` holds (config, solution_id, wanted verdict), `members` (config, split, problem_id), of all configs.
TESTS = (
    RowTest("a problem is in the train and in the test split", ("members",),
         "SELECT string_agg(DISTINCT config, ', '), problem_id FROM members GROUP BY problem_id "
         "HAVING count(DISTINCT split) > 1"),
    RowTest("a group of problems is in the train and in the test split", ("problems.group_id",),
         "SELECT 'problems', group_id FROM problems GROUP BY group_id HAVING count(DISTINCT split) > 1"),
    RowTest("a problem_id is not among the problems", ("members", "problems"),
         "SELECT config, problem_id FROM members ANTI JOIN problems USING (problem_id)"),
    RowTest("a solution is not among the solutions", ("uses", "solutions"),
         "SELECT config, solution_id FROM uses ANTI JOIN solutions USING (solution_id)"),
    RowTest("a training row uses an undecided solution", ("uses", "solutions.verdict"),
         "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
         "WHERE verdict = 'undecided' AND config NOT IN ('steps', 'rollouts')"),
    RowTest("a solution has another verdict than its place demands", ("uses", "solutions.verdict"),
         "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
         "WHERE wanted <> 'any' AND verdict NOT IN (wanted, 'undecided')"),
    RowTest("a label differs from the verdict", ("unpaired.label", "solutions.verdict"),
         "SELECT 'unpaired', solution_id FROM unpaired JOIN solutions USING (solution_id) "
         "WHERE label <> (verdict = 'correct')"),
    *(RowTest("chosen and rejected are the same, or one of them is empty", (f"{config}.chosen", f"{config}.rejected"),
           f"SELECT '{config}', rejected_id FROM {config} WHERE chosen = rejected OR chosen = '' OR rejected = ''")
      for config in ("pairs", "step_pairs")),
    *(RowTest("prompt and completion are the wrong way about: one of them is empty", (f"{config}.completion",),
           f"SELECT '{config}', solution_id FROM {config} WHERE prompt = '' OR completion = ''")
      for config in ("positives", "negatives", "unpaired", "weighted")),
    RowTest("steps, labels, values and rollouts differ in number", ("stepwise.rollouts",),
         "SELECT 'stepwise', solution_id FROM stepwise WHERE len(labels) <> len(completions) "
         "OR len(values) <> len(completions) OR len(rollouts) <> len(completions)"),
    RowTest("the steps do not end where the completion ends, or have no weight each", ("weighted.weights",),
         "SELECT 'weighted', solution_id FROM weighted WHERE len(ends) <> len(weights) "
         "OR list_last(ends) <> length(completion)"),
    *(RowTest("a solution stands there twice", (f"{config}.solution_id",),
           f"SELECT '{config}', solution_id FROM {config} GROUP BY solution_id HAVING count(*) > 1")
      for config in ("positives", "negatives", "solutions")),
)


class Problem(NamedTuple):
    """Something wrong: where, what, in how many cases, and one of them by its id or path."""

    config: str
    what: str
    cases: int
    example: str


def check(repo_at_version: str) -> list[Problem]:
    """Check `hub:ORG/NAME@v1.0.0`, `local:PATH@v1.0.0` or the path of a release folder.

    Raises:
        PublishError: there is no such version; ReleaseError: the folder holds no manifest.
    """
    to, at, version = repo_at_version.rpartition("@")
    return check_folder(fetch(to, version) if at and parse_tag(version) else Path(repo_at_version))


def check_folder(folder: Path) -> list[Problem]:
    """Everything that is wrong with the release in `folder`. Rows are looked at only where the files are sound."""
    manifest = read_manifest(folder)
    return _check_files(folder, manifest) or [*_check_schema(folder, manifest), *_check_rows(folder, manifest)]


def problems_table(problems: list[Problem]) -> Table:
    table = Table("config", "what", "cases", "for example")
    for problem in problems:
        table.add_row(problem.config, problem.what, f"{problem.cases:,}", problem.example)
    return table


def _check_files(folder: Path, manifest: dict) -> list[Problem]:
    found = []
    for path, facts in manifest["files"].items():
        if ".." in Path(path).parts or not (folder / path).is_file():
            found.append(Problem(facts.get("config", "–"), "a file is missing", 1, path))
        elif sha256_file(folder / path) != facts["sha256"]:
            found.append(Problem(facts.get("config", "–"), "a file has another checksum than the manifest", 1, path))
    listed = {folder / path for path in manifest["files"]}
    for config in manifest["configs"]:
        for path in sorted(set((folder / config).glob("*.parquet")) - listed):
            found.append(Problem(config, "a file is not in the manifest", 1, path.relative_to(folder).as_posix()))
    return found


def _check_schema(folder: Path, manifest: dict) -> list[Problem]:
    found = []
    for path, facts in manifest["files"].items():
        if "config" not in facts:
            continue
        with pq.ParquetFile(folder / path) as file:
            columns = {field.name: str(field.type) for field in file.schema_arrow}
            if columns != manifest["configs"][facts["config"]]["columns"]:
                found.append(Problem(facts["config"], "columns differ from the manifest", 1, path))
            if file.metadata.num_rows != facts["rows"]:
                found.append(Problem(facts["config"], "the number of rows differs from the manifest", 1, path))
    return found


def _check_rows(folder: Path, manifest: dict) -> list[Problem]:
    columns = {config: set(facts["columns"]) for config, facts in manifest["configs"].items()}
    found = []
    with duckdb.connect() as connection:
        views = _open_views(connection, folder, columns)
        for test in TESTS:
            if all(_has(need, views, columns) for need in test.needs):
                query = connection.sql(test.sql).project("#1 AS config, #2 AS id")
                found += [Problem(config, test.says, count, str(example)) for config, count, example in
                          query.aggregate("config, count(*), min(id)", "config").order("config").fetchall()]
    return found


def _has(need: str, views: set[str], columns: dict[str, set[str]]) -> bool:
    view, _, column = need.partition(".")
    return view in views and (not column or column in columns[view])


def _open_views(connection: duckdb.DuckDBPyConnection, folder: Path, columns: dict[str, set[str]]) -> set[str]:
    """A view of every known config with its split, and the views `members` and `uses` over all of them."""
    known = {*TRAINING, "solutions", "problems", "steps", "rollouts"} & columns.keys()
    wholes: dict[str, duckdb.DuckDBPyRelation] = {}
    for config in sorted(known):
        wholes[config] = _union([
            connection.from_parquet(paths).select("*", ConstantExpression(split).alias("split"))
            for split in SPLITS if (paths := sorted(map(str, (folder / config).glob(f"{split}-*.parquet"))))])
        wholes[config].create_view(config)
    members = [whole.select(ConstantExpression(config).alias("config"), "split", "problem_id")
               for config, whole in wholes.items() if "problem_id" in columns[config]]
    uses = [wholes[config].select(ConstantExpression(config).alias("config"),
                                  ColumnExpression(column).alias("solution_id"),
                                  ConstantExpression(wanted).alias("wanted")).filter("solution_id IS NOT NULL")
            for config, column, wanted in SOLUTIONS_OF if config in known and column in columns[config]]
    for name, parts in (("members", members), ("uses", uses)):
        if parts:
            _union(parts).create_view(name)
    return {*known, *(name for name, parts in (("members", members), ("uses", uses)) if parts)}


def _union(parts: list[duckdb.DuckDBPyRelation]) -> duckdb.DuckDBPyRelation:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.union(part)
    return whole
