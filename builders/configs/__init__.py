"""The configs of a release: one module with a record each, and the statement `NAME.sql` that makes its rows.

In: the tables of a run as Parquet files, the prompts, and a few numbers. Out: one Parquet file per config, with the
column `split` that later becomes part of the file's name. `pool.sql` says which solutions may be used at all; every
other statement reads its views. A config's variant as messages needs no statement of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple

from stepforge.builders.configs.base import Config, chat_variant
from stepforge.builders.sql import load_sql, open_duckdb, query_rows, query_to_parquet

if TYPE_CHECKING:
    import duckdb  # slow to import, and every command reads the records


def _records() -> dict[str, Config]:
    """The records of all modules beside this file, and the variants as messages, by rank."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    plain = [module.CONFIG for module in modules if hasattr(module, "CONFIG")]
    records = [*plain, *(chat_variant(config) for config in plain if config.chat is not None)]
    return {config.name: config for config in sorted(records, key=lambda config: config.rank)}


CONFIGS = _records()


class Left(NamedTuple):
    """What each config leaves out, by reason; and where the weight of `weighted` lies, by place of the step."""

    excluded: dict[str, dict[str, int]]
    weights: dict[str, float]


def build_configs(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                  memory: str) -> dict[str, int]:
    """Write FOLDER/NAME.parquet for every config that is named; returns rows by config.

    `inputs` holds the tables of builders/tables.py by name and `prompts` (generator, problem_id, prompt, split),
    and `tails` (solution_id, behind: characters behind the answer's line of correct solutions that have some).
    """
    with _pool(inputs, parameters, folder, memory) as connection:
        return _build_all(connection, names, folder)


def build_with_account(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object],
                       folder: Path, memory: str) -> tuple[dict[str, int], Left]:
    """What `build_configs` and `account_for` do and return, with the views made once."""
    with _pool(inputs, parameters, folder, memory) as connection:
        return _build_all(connection, names, folder), _account(connection, names)


def account_for(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                memory: str) -> Left:
    """What the configs leave out of that which they could hold; arguments as of `build_configs`."""
    with _pool(inputs, parameters, folder, memory) as connection:
        return _account(connection, names)


@contextmanager
def _pool(inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path, memory: str
          ) -> "Iterator[duckdb.DuckDBPyConnection]":
    """The views that all statements read."""
    with open_duckdb(memory, folder / "spill", inputs) as connection:
        for name, value in parameters.items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        connection.execute(load_sql(__package__, "first_errors"))
        connection.execute(load_sql(__package__, "pool"))
        yield connection


def _build_all(connection: "duckdb.DuckDBPyConnection", names: Iterable[str], folder: Path) -> dict[str, int]:
    return {name: _build(connection, CONFIGS[name], folder / f"{name}.parquet") for name in names}


def _account(connection: "duckdb.DuckDBPyConnection", names: Iterable[str]) -> Left:
    excluded: dict[str, dict[str, int]] = {}
    connection.execute(load_sql(__package__, "account_ids"))
    for row in query_rows(connection, load_sql(__package__, "account")):
        if row["config"] in names:
            excluded.setdefault(row["config"], {})[row["reason"]] = row["rows"]
    weights = query_rows(connection, load_sql(__package__, "weights")) if "weighted" in names else ()
    return Left(excluded, {row["place"]: row["share"] for row in weights})


def _build(connection: "duckdb.DuckDBPyConnection", config: Config, path: Path) -> int:
    statement = load_sql(__package__, config.plain)
    if config.is_chat:
        _messages(connection.sql(statement), CONFIGS[config.plain]).create_view("messages", replace=True)
        statement = "FROM messages"
    return query_to_parquet(connection, statement, {}, path, config.schema)


def _messages(rows: "duckdb.DuckDBPyRelation", config: Config) -> "duckdb.DuckDBPyRelation":
    """Rows whose texts are finished turns, each as a list of one message; the macros are pool.sql's."""
    from duckdb import ColumnExpression, ConstantExpression, FunctionExpression, StarExpression

    for name in config.chat or ():
        rows = rows.filter(FunctionExpression("ended", ColumnExpression(name)))
    turns = [FunctionExpression("message", ConstantExpression("user" if name == "prompt" else "assistant"),
                                ColumnExpression(name)).alias(name) for name in config.turns or config.texts]
    return rows.select(StarExpression(exclude=list(config.turns or config.texts)), *turns)
