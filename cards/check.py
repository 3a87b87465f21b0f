"""Check a release as its user would: that it is what its manifest says, and that its configs fit together.

In goes a release folder or a version at a target; out comes a list of problems, empty for a sound release. The tests
on rows are SQL over views of fixed names, one statement a test, so each can be read and run alone.
"""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import duckdb
from rich.table import Table

from stepforge.builders.configs import CONFIGS
from stepforge.builders.configs.base import A_PIT_WITHOUT_A_FALL, MESSAGES, Config, RowTest
from stepforge.builders.manifest import SPLITS, ManifestError, read_manifest
from stepforge.builders.release import sha256_file
from stepforge.builders.shards import wrong_with_shard
from stepforge.builders.sql import bounded_duckdb
from stepforge.builders.terminal import cell, in_line
from stepforge.cards.agreement import TESTS
from stepforge.cards.semver import parse_tag
from stepforge.cards.versions import fetch

CASES = "SELECT config, count(*), min(id) FROM ({}) AS cases(config, id) GROUP BY config ORDER BY config"


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
                          f"SELECT '{name}', solution_id FROM {name} LEFT JOIN solutions USING (solution_id) "
                          f"WHERE {name}.soundness = 'unsound' AND coalesce(verdict, 'correct') = 'correct'")
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
    """Check `hub:ORG/NAME@v1.0.0`, `local:PATH@v1.0.0`, the newest version where none is named, or a release folder.

    Raises:
        PublishError: there is no such version; ReleaseError: the folder holds no manifest.
    """
    to, at, version = repo_at_version.rpartition("@")
    if at and parse_tag(version):
        return check_folder(fetch(to, version))
    named = repo_at_version.startswith(("hub:", "local:"))
    return check_folder(fetch(repo_at_version) if named else Path(repo_at_version))


def check_folder(folder: Path) -> list[Problem]:
    """Everything that is wrong with the release in `folder`. Rows are looked at only where the files are sound."""
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        return [Problem("–", "the manifest does not fit", 1, misfit) for misfit in error.misfits]
    if file_problems := _check_files(folder, manifest):
        return file_problems
    columns = {name: facts["columns"] for name, facts in manifest["configs"].items()}
    wrong = [(path, facts["config"], fault) for path, facts in _data(manifest).items()
             for fault in wrong_with_shard(folder / path, facts["rows"], columns[facts["config"]])]
    problems = [Problem(config, fault.what, 1, path if fault.readable else f"{path}: {fault.detail}")
                for path, config, fault in wrong]
    if not all(fault.readable for _, _, fault in wrong):
        return problems
    other = {config for _, config, fault in wrong if "columns" in fault.what}
    return [*problems, *_check_schema(manifest), *_check_rows(folder, manifest, other)]


def problems_table(problems: list[Problem]) -> Table:
    table = Table("config", "what", "cases", "for example")
    for problem in problems:
        table.add_row(cell(problem.config), problem.what, f"{problem.cases:,}", cell(in_line(problem.example)))
    return table


def _data(manifest: dict) -> dict[str, dict]:
    """The files that hold rows, by path."""
    return {path: facts for path, facts in manifest["files"].items() if facts.get("config") is not None}


def _check_files(folder: Path, manifest: dict) -> list[Problem]:
    problems = []
    for path, facts in manifest["files"].items():
        if what := _wrong_with_file(folder / path, facts):
            problems.append(Problem(facts.get("config") or "–", what, 1, path))
    listed = {folder / path for path in manifest["files"]}
    for config in manifest["configs"]:
        for path in sorted(set((folder / config).glob("*.parquet")) - listed):
            problems.append(Problem(config, "a file is not in the manifest", 1, path.relative_to(folder).as_posix()))
    return problems


def _wrong_with_file(path: Path, facts: dict) -> str | None:
    try:
        if not path.is_file():
            return "a file is missing"
        if path.stat().st_size != facts["bytes"]:
            return "a file has another size than the manifest"
        return None if sha256_file(path) == facts["sha256"] else "a file has another checksum than the manifest"
    except OSError as error:
        return f"a file cannot be read: {error.strerror}"


def _check_schema(manifest: dict) -> list[Problem]:
    problems = []
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


def _check_rows(folder: Path, manifest: dict, other: set[str]) -> list[Problem]:
    """What the rows break; `other` are the configs whose columns are not those of the manifest."""
    data = _data(manifest)
    filled = {facts["config"] for facts in data.values()} - other
    columns = {config: set(facts["columns"]) for config, facts in manifest["configs"].items()
               if config in CONFIGS and config in filled and not _of_other_type(config, facts["columns"])}
    whole = manifest.get("recipe") or {}
    recipe = (whole.get("release") or {}) | {"pit_fall": (whole.get("annotate") or {}).get("pit_fall")}
    tests = [*TESTS, *(test for config in columns for test in tests_of(CONFIGS[config], recipe))]
    problems = []
    try:
        with bounded_duckdb(sum(facts["bytes"] for facts in data.values())) as connection:
            from_rollouts = any(recipe.get(f"rollout_{kind}") for kind in ("positives", "negatives"))
            views = _open_views(connection, folder, columns, from_rollouts)
            for test in tests:
                if all(_has(need, views, columns) for need in test.needs):
                    cases = connection.execute(CASES.format(test.sql)).fetchall()
                    problems += [Problem(config, test.says, count, str(example)) for config, count, example in cases]
            if (excluded := manifest.get("excluded")) is not None:
                problems += _unaccounted(connection, views, columns, excluded)
    except duckdb.Error as error:
        problems.append(Problem("–", "its rows cannot be tested", 1, in_line(error)))
    return problems


def _unaccounted(connection: duckdb.DuckDBPyConnection, views: set[str], columns: dict[str, set[str]],
                 excluded: dict[str, dict[str, int]]) -> Iterator[Problem]:
    """Configs whose rows, and those that the manifest says they leave out, are not all that they are made of.

    Older releases count what some configs leave out, and do not name the others.
    """
    for name, made_of in ((name, CONFIGS[name].made_of) for name in sorted(columns.keys() & excluded)):
        if made_of is None or not all(_has(need, views, columns) for need in made_of.needs):
            continue
        sampled = "WHERE origin = 'sample'" if "origin" in columns[name] else ""
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {name} {sampled}").fetchall()
        ((whole,),) = connection.execute(made_of.sql).fetchall()
        left = sum(excluded[name].values())
        if rows + left != whole:
            yield Problem(name, "rows are missing without a reason, or too many", abs(whole - rows - left),
                          f"{rows:,} rows and {left:,} left out of {whole:,}")


def _has(need: str, views: set[str], columns: dict[str, set[str]]) -> bool:
    view, _, column = need.partition(".")
    return view in views and (not column or column in columns[view])


def _open_views(connection: duckdb.DuckDBPyConnection, folder: Path, columns: dict[str, set[str]],
                from_rollouts: bool) -> set[str]:
    """A view of every config with its split, messages as their texts, and those over all of them (agreement.py)."""
    for name in sorted(columns):
        _whole(connection, folder, CONFIGS[name], columns[name]).create_view(name)
    selects = {view: [select for name in sorted(columns) for select in selected(CONFIGS[name], columns[name])]
               for view, selected in (("members", _members), ("uses", _uses), ("texts", _texts),
                                      ("prompts", _prompts))}
    selects["known"] = [f"SELECT {column} AS solution_id FROM {name}" for name, column in (
        ("solutions", "solution_id"), ("rollouts", "rollout_id")) if column in columns.get(name, ())]
    if "solutions" not in columns or from_rollouts and "rollouts" not in columns:
        selects["known"] = []                                   # nobody can say what is not among them
    views = {view: " UNION ALL ".join(parts) for view, parts in selects.items() if parts}
    for view, sql in views.items():
        connection.execute(f"CREATE VIEW {view} AS {sql}")
    return {*columns, *views}


def _whole(connection: duckdb.DuckDBPyConnection, folder: Path, config: Config, columns: set[str]
           ) -> duckdb.DuckDBPyRelation:
    """All rows of a config with their split, and the text of each conversation of one message in its place, so that
    one test serves both variants."""
    turns = [field.name for field in config.fields if field.type == MESSAGES and field.name in columns]
    texts = ", ".join(f"array_to_string(list_transform({name}, lambda turn: turn.content), '') AS {name}"
                      for name in turns)
    parts = [connection.from_parquet(paths).project(f"*{f' REPLACE ({texts})' if turns else ''}, '{split}' AS split")
             for split in SPLITS if (paths := sorted(map(str, (folder / config.name).glob(f"{split}-*.parquet"))))]
    return reduce(duckdb.DuckDBPyRelation.union, parts)


def _members(config: Config, columns: set[str]) -> Iterator[str]:
    if "problem_id" in columns:
        yield f"SELECT '{config.name}' AS config, split, problem_id FROM {config.name}"


def _uses(config: Config, columns: set[str]) -> Iterator[str]:
    for column, wanted in config.solutions.items():
        if column in columns:
            generator = column.replace("solution_id", "generator").replace("_id", "_generator")
            yield (f"SELECT '{config.name}' AS config, {config.trains} AS trains, {column} AS solution_id, "
                   f"'{wanted}' AS wanted, {_or_null('problem_id', columns)} AS problem_id, "
                   f"{_or_null(generator, columns)} AS generator "
                   f"FROM {config.name} WHERE {column} IS NOT NULL")


def _texts(config: Config, columns: set[str]) -> Iterator[str]:
    for text in sorted(set(config.texts) & columns & {"completion", "chosen", "rejected"}):
        column, complete = ("solution_id", "complete") if text == "completion" else (f"{text}_id", f"{text}_complete")
        whole = (config.plain, text) != ("step_pairs", "rejected")  # which may be the pit alone
        if column in columns:
            yield (f"SELECT '{config.name}' AS config, {whole} AS whole, {column} AS solution_id, {text} AS text, "
                   f"{_or_null(complete, columns)} AS complete "
                   f"FROM {config.name} WHERE {column} IS NOT NULL")


def _prompts(config: Config, columns: set[str]) -> Iterator[str]:
    if {"problem_id", "prompt"} <= columns:
        yield f"SELECT '{config.name}' AS config, problem_id, prompt FROM {config.name}"


def _or_null(column: str, columns: set[str]) -> str:
    return column if column in columns else "NULL"
