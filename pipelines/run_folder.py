"""The folder of a run: the one file that knows where things lie in it, and reading a run that others have made.

In: the path of a run's folder. Out: paths of its tables, journals, logs and release; its recipe, what its stages
accounted for, and a bounded connection to its tables. Nothing here writes.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import damage, parts_of
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import BUCKETED, DROPS, TABLES
from stepforge.pipelines.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    import datasets
    import duckdb
    import polars

MEMORY = "1GiB"
WORK, LOGS, RELEASE, PROBE = "work", "logs", "release", "probe"
OWN = (WORK, RELEASE, LOGS)  # what ranks on other machines neither read nor write, but for their own working folder


def table_path(run: Path, name: str) -> Path:
    """A table of the run: its folder of parts where it has one, else its file."""
    parts = table_parts_path(run, name)
    return parts if name in BUCKETED and parts.is_dir() else table_file_path(run, name)


def table_file_path(run: Path, name: str) -> Path:
    return run / "tables" / f"{name}.parquet"


def table_parts_path(run: Path, name: str) -> Path:
    return run / "tables" / name


def table_files(run: Path) -> Iterator[Path]:
    """All files of tables that there are."""
    yield from sorted((run / "tables").rglob("*.parquet"))


def drops_path(run: Path, stage: str) -> Path:
    """The rows that a stage dropped; there is no such file where it dropped none."""
    return run / "tables" / "drops" / f"{stage}.parquet"


def drops_of(run: Path) -> list[Path]:
    """The drops of all stages that dropped rows, one file for each stage."""
    return sorted(drops_path(run, "").parent.glob("*.parquet"))


def release_path(run: Path) -> Path:
    return run / RELEASE


def journal_path(run: Path, journal: str, *parts: str) -> Path:
    """The folder of a journal: what a stage asked engines, or of `parts`, such as one generator's id."""
    return run.joinpath(journal, *parts)


def logs_path(run: Path, *parts: str) -> Path:
    return run.joinpath(LOGS, *parts)


def server_logs_path(run: Path) -> Path:
    return run / LOGS / "servers"


def servers_path(run: Path) -> Path:
    """Where servers on a cluster say how they are."""
    return run / WORK / "servers"


def work_path(run: Path, name: str) -> Path:
    """A folder for intermediate results of one stage; nothing in it outlives the stage."""
    return run / WORK / name


def shares_path(work: Path) -> Path:
    """What the ranks of a stage's working folder read, in the order of ranks."""
    return work / "shares.parquet"


def state_path(run: Path) -> Path:
    return run / "state.json"


def checkpoint_path(run: Path) -> Path:
    """What was last pushed to the branch of `release.checkpoint`, or why nothing was."""
    return run / "checkpoint.json"


def recipe_path(run: Path) -> Path:
    return run / "recipe.yaml"


def ran_with_path(run: Path, stage: str) -> Path:
    """The recipe with which a stage last ran to its end."""
    return run / "recipes" / f"{stage}.yaml"


def scores_path(run: Path, scorer_id: str) -> Path:
    """What one reward model says of the solutions: solution_scores.parquet and step_scores.parquet."""
    return run / "scores" / scorer_id


def owner_path(run: Path) -> Path:
    """Names the recipe file that the folder was last run from, or says that it was a program."""
    return run / "recipe.from"


def audits_path(run: Path) -> Path:
    """Answers of people, one file each."""
    return run / "audits"


def audit_samples_path(run: Path) -> Path:
    """The samples that people were asked to read, one file each."""
    return run / "audits" / "samples"


def run_tables(run: Path, *names: str) -> dict[str, Path]:
    """Paths of tables of a run.

    Raises:
        UserError: one of them does not exist.
    """
    if not run.is_dir():
        raise UserError(f"{run}: there is no such folder; give the folder of a run (runs/NAME)")
    paths = {name: table_path(run, name) for name in names}
    if missing := [name for name, path in paths.items() if not path.exists()]:
        raise UserError(f"{run} has no table {', '.join(missing)} yet; is it the folder of a run? (runs/NAME)")
    return paths


@contextmanager
def open_run_tables(run: Path, *names: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A bounded connection that sees the named tables as views, and writes nothing into the run.

    Raises:
        UserError: one of them does not exist.
    """
    tables = run_tables(run, *names)
    with (damage_told(table_files(run)), tempfile.TemporaryDirectory() as scratch,
          open_duckdb(MEMORY, Path(scratch), tables) as connection):
        yield connection


@contextmanager
def damage_told(files: Iterable[Path]) -> "Iterator[None]":
    """Where a library fails at reading and one of the files of tables is damaged, name it.

    Raises:
        UserError: a file cannot be read to its end.
    """
    try:
        yield
    except Exception as error:
        library = type(error).__module__.split(".")[0]
        if not isinstance(error, OSError) and library not in ("_duckdb", "duckdb", "pyarrow"):
            raise
        for path in files:
            if (why := damage(path)) is not None:
                raise UserError(f"{path} is damaged ({why}). Delete it and run the recipe again: its stage writes "
                                "it again from the answers in the journal") from error
        raise


def read_state(folder: Path) -> dict[str, Any]:
    """What is known of finished stages: fingerprint, rows in and out, drops by reason, tokens, seconds."""
    try:
        state: dict[str, Any] = orjson.loads(state_path(folder).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return state


class Run(NamedTuple):
    """A run on disk. `accounts` has, per finished stage, the rows in, out and dropped by reason, and the tokens.

    Each table is an attribute: `run.solutions` is a polars LazyFrame.
    """

    folder: Path
    recipe: Recipe
    accounts: dict[str, dict[str, Any]]

    @contextmanager
    def duckdb(self, *tables: str) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open a DuckDB connection, limited in memory, with the named tables as views."""
        with open_run_tables(self.folder, *tables) as connection:
            yield connection


    def frame(self, table: str) -> "polars.LazyFrame":
        """A table of the run as a polars LazyFrame; `run.solutions` is short for `run.frame("solutions")`.

        `drops` are those of all stages, without rows where nothing was dropped.

        Raises:
            UserError: the run has no such table yet.
        """
        import polars  # slow to import, and the command line does without it

        if table == "drops":
            made = [polars.scan_parquet(path) for path in drops_of(self.folder)]
            return polars.concat([polars.DataFrame(DROPS.schema.empty_table()).lazy(), *made])
        return polars.scan_parquet(parts_of(run_tables(self.folder, table)[table]))

    def dataset(self, table: str) -> "datasets.Dataset":
        """A table of the run as a `datasets.Dataset`; errors as for `frame`."""
        import datasets

        return datasets.Dataset.from_polars(self.frame(table).collect())

    def __getattr__(self, name: str) -> "polars.LazyFrame":
        if name not in TABLES:
            raise AttributeError(f"a run has no {name!r}; its tables are {', '.join(TABLES)}")
        return self.frame(name)

    def __repr__(self) -> str:
        counts = ", ".join(f"{stage} {account['rows_out']:,}" for stage, account in self.accounts.items())
        return f"Run {self.folder}: {counts}"

    def _repr_html_(self) -> str:
        rows = ""
        for stage, account in self.accounts.items():
            dropped = escape(", ".join(f"{n:,} {reason}" for reason, n in account["dropped"].items()))
            rows += (f"<tr><td>{escape(stage)}</td><td>{account['rows_in']:,}</td><td>{account['rows_out']:,}</td>"
                     f"<td>{dropped}</td></tr>")
        return (f"<b>{escape(str(self.folder))}</b><table><tr><th>stage</th><th>rows in</th><th>rows out</th>"
                f"<th>dropped</th></tr>{rows}</table>")


def read_run(folder: Path) -> Run:
    """Raises UserError where the folder is none of a run, or no stage has finished in it."""
    try:
        accounts = orjson.loads(state_path(folder).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise UserError(f"{folder} is not the folder of a run (runs/NAME), or nothing has run in it yet") from error
    return Run(folder, load_recipe(recipe_path(folder)), accounts)
