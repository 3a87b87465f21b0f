"""Check a release as its user would: that it is what its manifest says, and that its configs fit together.

In goes a release folder or a version at a target; out comes a list of problems, empty for a sound release. The tests
on rows are SQL over views of fixed names, one statement a test, so each can be read and run alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow.parquet as pq
from duckdb import ColumnExpression, ConstantExpression
from rich.table import Table

from stepforge.builders.configs import CONFIGS
from stepforge.builders.configs.base import A_PIT_WITHOUT_A_FALL, MESSAGES, Config, RowTest
from stepforge.builders.release import SPLITS, read_manifest, sha256_file
from stepforge.cards.semver import parse_tag
from stepforge.cards.versions import fetch

# `uses` holds (config, solution_id, wanted verdict) and whether the config trains; `members` holds
# (config, split, problem_id) of all configs.
TESTS = (
    RowTest("a problem is in more than one split", ("members",),
            "SELECT string_agg(DISTINCT config, ', '), problem_id FROM members GROUP BY problem_id "
            "HAVING count(DISTINCT split) > 1"),
    RowTest("a problem_id is not among the problems", ("members", "problems"),
            "SELECT config, problem_id FROM members ANTI JOIN problems USING (problem_id)"),
    RowTest("a solution is not among the solutions", ("uses", "solutions"),
            "SELECT config, solution_id FROM uses ANTI JOIN solutions USING (solution_id)"),
    RowTest("a training row uses an undecided solution", ("uses", "solutions.verdict"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE verdict = 'undecided' AND trains"),
    RowTest("a solution has another verdict than its place demands", ("uses", "solutions.verdict"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE wanted <> 'any' AND verdict NOT IN (wanted, 'undecided')"),
)


def tests_of(config: Config, recipe: dict) -> Iterator[RowTest]:
    """What is tested in the rows of one config, by its record and the recipe: key, texts, soundness, its own tests."""
    name, columns = config.name, config.schema.names
    if recipe.get("unsound_positives") == "drop" and config.trains:
        says = "a correct solution or better step stays that the recipe drops as unsound"
        if "chosen_soundness" in columns:
            yield RowTest(says, (f"{name}.chosen_soundness",),
                          f"SELECT '{name}', {config.key[0]} FROM {name} WHERE chosen_soundness = 'unsound'")
        if "soundness" in columns:
            yield RowTest(says, (f"{name}.soundness", "solutions.verdict"),
                          f"SELECT '{name}', solution_id FROM {name} JOIN solutions USING (solution_id) "
                          f"WHERE {name}.soundness = 'unsound' AND verdict = 'correct'")
    yield RowTest("a row stands there twice", tuple(f"{name}.{column}" for column in config.key),
                  f"SELECT '{name}', any_value({config.key[0]}) FROM {name} GROUP BY {', '.join(config.key)} "
                  "HAVING count(*) > 1")
    if config.texts:
        empty = " OR ".join(f"{text} = ''" for text in config.texts)
        same = " OR chosen = rejected" if "chosen" in config.texts else ""
        yield RowTest("a text is empty" + (", or chosen and rejected are the same" if same else ""),
                      tuple(f"{name}.{text}" for text in config.texts),
                      f"SELECT '{name}', {config.key[0]} FROM {name} WHERE {empty}{same}")
    any_pit = (recipe.get("pit_fall") or 0) < 0 or (recipe.get("min_pit_drop") or 0) < 0
    yield from (test for test in config.tests if not (any_pit and test.says == A_PIT_WITHOUT_A_FALL))


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
    problems = []
    for path, facts in manifest["files"].items():
        if "config" not in facts:
            continue
        with pq.ParquetFile(folder / path) as file:
            columns = {field.name: str(field.type) for field in file.schema_arrow}
            if columns != manifest["configs"][facts["config"]]["columns"]:
                problems.append(Problem(facts["config"], "columns differ from the manifest", 1, path))
            if file.metadata.num_rows != facts["rows"]:
                problems.append(Problem(facts["config"], "the number of rows differs from the manifest", 1, path))
    splits = {split for facts in manifest["configs"].values() for split in facts["rows"]}
    for name, facts in manifest["configs"].items():
        filled = {file["split"] for file in manifest["files"].values() if file.get("config") == name}
        wanting = [split for split in splits if split not in facts["rows"] or (facts["rows"][split] and
                                                                               split not in filled)]
        problems += [Problem(name, "a split is missing", 1, split) for split in sorted(wanting)]
        for column in _of_other_type(name, facts["columns"]):
            problems.append(Problem(name, "a column is of another type than such a config has", 1, column))
    return problems


def _of_other_type(name: str, columns: dict[str, str]) -> list[str]:
    """Columns of a known config that have another type than its record says; its rows then cannot be tested."""
    fields = CONFIGS[name].fields if name in CONFIGS else ()
    types = {field.name: str(field.type).replace("list<item:", "list<element:") for field in fields}  # as Parquet says
    return [column for column, kind in columns.items() if types.get(column, kind) != kind]


def _check_rows(folder: Path, manifest: dict) -> list[Problem]:
    columns = {config: set(facts["columns"]) for config, facts in manifest["configs"].items()
               if config in CONFIGS and not _of_other_type(config, facts["columns"])}
    whole = manifest.get("recipe") or {}
    recipe = (whole.get("release") or {}) | {"pit_fall": (whole.get("annotate") or {}).get("pit_fall")}
    tests = [*TESTS, *(test for config in columns for test in tests_of(CONFIGS[config], recipe))]
    problems = []
    with duckdb.connect() as connection:
        views = _open_views(connection, folder, columns)
        for test in tests:
            if all(_has(need, views, columns) for need in test.needs):
                query = connection.sql(test.sql).project("#1 AS config, #2 AS id")
                problems += [Problem(config, test.says, count, str(example)) for config, count, example in
                             query.aggregate("config, count(*), min(id)", "config").order("config").fetchall()]
    return problems


def _has(need: str, views: set[str], columns: dict[str, set[str]]) -> bool:
    view, _, column = need.partition(".")
    return view in views and (not column or column in columns[view])


def _open_views(connection: duckdb.DuckDBPyConnection, folder: Path, columns: dict[str, set[str]]) -> set[str]:
    """A view of every config with its split, messages as their texts, and `members` and `uses` over all of them."""
    wholes = {name: _plain(CONFIGS[name], _union([
        connection.from_parquet(paths).select("*", ConstantExpression(split).alias("split"))
        for split in SPLITS if (paths := sorted(map(str, (folder / name).glob(f"{split}-*.parquet"))))]))
        for name in sorted(columns)}
    for name, whole in wholes.items():
        whole.create_view(name)
    shared = {
        "members": [whole.select(ConstantExpression(name).alias("config"), "split", "problem_id")
                    for name, whole in wholes.items() if "problem_id" in columns[name]],
        "uses": [wholes[name].select(ConstantExpression(name).alias("config"),
                                     ConstantExpression(CONFIGS[name].trains).alias("trains"),
                                     ColumnExpression(column).alias("solution_id"),
                                     ConstantExpression(wanted).alias("wanted")).filter("solution_id IS NOT NULL")
                 for name in wholes for column, wanted in CONFIGS[name].solutions.items() if column in columns[name]]}
    for view, parts in shared.items():
        if parts:
            _union(parts).create_view(view)
    return {*wholes, *(view for view, parts in shared.items() if parts)}


def _plain(config: Config, rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Rows with the text of each conversation of one message in its place, so that one test serves both variants."""
    turns = [field.name for field in config.fields if field.type == MESSAGES and field.name in rows.columns]
    if not turns:
        return rows
    texts = (f"array_to_string(list_transform({name}, lambda turn: turn.content), '') AS {name}" for name in turns)
    return rows.select(f"* REPLACE ({', '.join(texts)})")


def _union(parts: list[duckdb.DuckDBPyRelation]) -> duckdb.DuckDBPyRelation:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.union(part)
    return whole
