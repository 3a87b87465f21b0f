"""The configs of a release: one module with a record each, and the statement `NAME.sql` that makes its rows.

In: the tables of a run as Parquet files, the prompts, and a few numbers. Out: one Parquet file per config, with the
column `split` that later becomes part of the file's name; or one per config and bucket of problems, and what finishes
their rows where these need something of the whole run. `pool.sql` says which solutions may be used at all; every
other statement reads its views. A config's variant as messages needs no statement of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from operator import and_
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple

from stepforge.builders.configs.base import Config, chat_variant
from stepforge.builders.configs.weighted import WEIGHED, settle_weights
from stepforge.builders.parquet import Finish, part_name
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
    """What each config leaves out, by reason; and where the weight of `weighted` lies, by place of the step.

    Every config has an entry in `excluded`, which is empty where it leaves nothing out.
    """

    excluded: dict[str, dict[str, int]]
    weights: dict[str, float]


class Made(NamedTuple):
    """Rows by config, and those that each config leaves out, by reason."""

    rows: dict[str, int]
    excluded: dict[str, dict[str, int]]


def build_configs(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                  memory: str) -> dict[str, int]:
    """Write FOLDER/NAME.parquet for every config that is named; returns rows by config.

    `inputs` holds the tables of builders/tables.py by name and `prompts` (generator, problem_id, prompt, split),
    and `tails` of correct solutions and rollouts (solution_id, behind: characters behind the line of the answer,
    runs_on: whether another problem is among them, unsound: whether equations disprove a rollout), where there is any.
    """
    with _pool(inputs, parameters, folder, memory) as connection:
        _settle(connection, weighs="weighted" in names)
        return _build_all(connection, names, folder)


def build_with_account(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object],
                       folder: Path, memory: str) -> tuple[dict[str, int], Left]:
    """What `build_configs` and `account_for` do and return, with the views made once."""
    with _pool(inputs, parameters, folder, memory) as connection:
        weights = _settle(connection)
        return _build_all(connection, names, folder), _left(connection, names, weights)


def account_for(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                memory: str) -> Left:
    """What the configs leave out of that which they could hold; arguments as of `build_configs`."""
    with _pool(inputs, parameters, folder, memory) as connection:
        return _left(connection, names, _settle(connection))


def build_bucket(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                 memory: str, bucket: int, buckets: int) -> Made:
    """Write the parts of one bucket of problems, FOLDER/NAME/part-BUCKET-… of every config and of `weighed`.

    Arguments as of `build_configs`; `inputs` lie in parts, and `parameters` say whether there are `any_steps` in the
    run. What else concerns the whole run is left open for `finishing`.
    """
    part, scratch = part_name(bucket, buckets), folder / "scratch" / f"{bucket:05d}"
    with _pool(inputs, {**parameters, "mean_weight": 1.0}, scratch, memory, bucket) as connection:
        connection.execute(load_sql(__package__, "weighed"))
        query_to_parquet(connection, "FROM weighed ORDER BY ALL", {}, folder / "weighed" / part, WEIGHED)
        rows = {name: _build(connection, CONFIGS[name], folder / name / part) for name in names}
        return Made(rows, _excluded(connection, names))


@contextmanager
def finishing(names: Iterable[str], folder: Path, candidates: Path, memory: str
              ) -> Iterator[tuple[dict[str, Finish], dict[str, float]]]:
    """What finishes the rows of all buckets that `build_bucket` wrote, by config; and the weights of `Left`.

    Args:
        candidates: the problems of the run in their order, and others.
    """
    wholes = {name: CONFIGS[name].whole for name in names}
    tables = {"weighed": folder / "weighed", "candidates": candidates}
    tables |= {name: folder / name for name, whole in wholes.items() if whole}
    with open_duckdb(memory, folder / "scratch", tables) as connection:
        weights = settle_weights(connection)
        yield ({name: whole(connection) for name, whole in wholes.items() if whole},
               weights if "weighted" in wholes else {})


@contextmanager
def _pool(inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path, memory: str,
          bucket: int | None = None) -> "Iterator[duckdb.DuckDBPyConnection]":
    """The views that all statements read, over all tables or one bucket of them."""
    threads = 2 if bucket is None else 1
    with open_duckdb(memory, folder / "spill", inputs, threads, bucket) as connection:
        see_rollouts(connection, parameters)
        connection.execute(load_sql(__package__, "first_errors"))
        connection.execute(load_sql(__package__, "pool"))
        yield connection


def see_rollouts(connection: "duckdb.DuckDBPyConnection", parameters: Mapping[str, object]) -> None:
    """Set the variables that statements read, and make the view `rollout_text` of tables that the connection sees."""
    for name, value in parameters.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    connection.execute(load_sql(__package__, "rollout_texts"))


def _settle(connection: "duckdb.DuckDBPyConnection", weighs: bool = True) -> dict[str, float]:
    """Set the variables that are known of the whole run alone, which the connection sees; returns weights by place."""
    connection.execute("SET VARIABLE any_steps = (SELECT count(*) > 0 FROM steps)")
    if not weighs:
        return {}
    connection.execute(load_sql(__package__, "weighed"))
    return settle_weights(connection)


def _build_all(connection: "duckdb.DuckDBPyConnection", names: Iterable[str], folder: Path) -> dict[str, int]:
    return {name: _build(connection, CONFIGS[name], folder / f"{name}.parquet") for name in names}


def _left(connection: "duckdb.DuckDBPyConnection", names: Iterable[str], weights: dict[str, float]) -> Left:
    return Left(_excluded(connection, names), weights if "weighted" in names else {})


def _excluded(connection: "duckdb.DuckDBPyConnection", names: Iterable[str]) -> dict[str, dict[str, int]]:
    reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
    connection.execute(load_sql(__package__, "account_ids"))
    for row in query_rows(connection, load_sql(__package__, "account")):
        reasons[row["config"]][row["reason"]] = row["rows"]
    excluded = {}
    for config in (CONFIGS[name] for name in names):
        unfinished = _unfinished(connection, CONFIGS[config.plain]) if config.is_chat else 0
        excluded[config.name] = reasons[config.plain] | ({"incomplete": unfinished} if unfinished else {})
    return excluded


def _unfinished(connection: "duckdb.DuckDBPyConnection", config: Config) -> int:
    """How many rows of a config its variant as messages lacks, because a text of theirs is no finished turn."""
    rows = connection.sql(load_sql(__package__, config.name)).filter(~_finished(config))
    return int(rows.count("*").fetchall()[0][0])


def _build(connection: "duckdb.DuckDBPyConnection", config: Config, path: Path) -> int:
    statement = load_sql(__package__, config.plain)
    if config.is_chat:
        _messages(connection.sql(statement), CONFIGS[config.plain]).create_view("messages", replace=True)
        statement = "FROM messages"
    return query_to_parquet(connection, statement, {}, path, config.schema)


def _finished(config: Config) -> "duckdb.Expression":
    """Whether all texts of a row are finished turns."""
    from duckdb import ColumnExpression, ConstantExpression, FunctionExpression

    ended = (FunctionExpression("ended", ColumnExpression(name)) for name in config.chat or ())
    return reduce(and_, ended, ConstantExpression(True))


def _messages(rows: "duckdb.DuckDBPyRelation", config: Config) -> "duckdb.DuckDBPyRelation":
    """Rows whose texts are finished turns, each as a list of one message; the macros are pool.sql's."""
    from duckdb import ColumnExpression, ConstantExpression, FunctionExpression, StarExpression

    turns = [FunctionExpression("message", ConstantExpression("user" if name == "prompt" else "assistant"),
                                ColumnExpression(name)).alias(name) for name in config.turns or config.texts]
    return rows.filter(_finished(config)).select(StarExpression(exclude=list(config.turns or config.texts)), *turns)
