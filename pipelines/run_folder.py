"""The folder of a run, as those that only read it see it: its recipe, what its stages accounted for, its tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson

from stepforge.builders.errors import UserError
from stepforge.builders.sql import open_duckdb
from stepforge.pipelines.recipe import Recipe, load_recipe

MEMORY = "1GiB"


class Run(NamedTuple):
    """`accounts` is what finished stages told: rows in, out and dropped by reason, and tokens."""

    folder: Path
    recipe: Recipe
    accounts: dict[str, dict[str, Any]]

    @contextmanager
    def duckdb(self, *tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A bounded connection that sees the named tables as views."""
        with open_duckdb(MEMORY, self.folder / "work" / "spill", run_tables(self.folder, *tables)) as connection:
            yield connection


def read_run(folder: Path) -> Run:
    """Raises UserError where the folder is none of a run, or no stage has finished in it."""
    try:
        accounts = orjson.loads((folder / "state.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise UserError(f"{folder} is not the folder of a run (runs/NAME), or nothing has run in it yet") from error
    return Run(folder, load_recipe(folder / "recipe.yaml"), accounts)


def run_tables(run: Path, *names: str) -> dict[str, Path]:
    """Paths of tables of a run.

    Raises:
        UserError: one of them does not exist.
    """
    paths = {name: run / "tables" / f"{name}.parquet" for name in names}
    if missing := [name for name, path in paths.items() if not path.exists()]:
        raise UserError(f"{run} has no table {', '.join(missing)} yet; is it the folder of a run? (runs/NAME)")
    return paths
