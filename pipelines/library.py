"""The tool as functions: run a recipe, foresee it, annotate a handful of solutions in memory.

In: a recipe as a name, a path, a dict or a `Recipe`. Out: a `Run`, whose tables are polars LazyFrames. Works in a
script without a `__main__` guard and in a notebook: ranks run in this process unless the recipe asks for more workers.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from stepforge.builders.errors import UserError
from stepforge.pipelines import plan as planning
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.recipe import Recipe, find_recipe, make_recipe, read_options
from stepforge.pipelines.run_folder import Run, read_run, table_path
from stepforge.pipelines.views import console

OWN = "given"  # the generator that stands for solutions that were handed over


def run(recipe: Recipe | Mapping[str, Any] | Path | str, out: Path | str = "runs", progress: bool = True,
        **overrides: Any) -> Run:
    """Run what a recipe asks for and what is not done yet, and return the run.

    Args:
        recipe: the name of a shipped recipe, the path of a YAML file, a mapping of options, or a `Recipe`.
        out: the folder that holds runs; this one is in OUT/NAME.
        progress: whether to show bars and a line for each stage on a terminal.
        overrides: options to change. A mapping changes the options that it names and keeps the others:
            `run("demo", seed=1, release={"to": None})`.

    Raises:
        RecipeError: the recipe does not fit.
        StageFailed: a stage did not finish; call again to resume.
    """
    loaded = _loaded(recipe, overrides)
    folder = Path(out) / loaded.name

    def report(planned: planning.Planned, account: dict[str, Any] | None) -> None:
        if progress:
            console.err.print(console.account_line(planned, account))

    planning.run(loaded, folder, console.progress_bar if progress else planning.silent, report)
    return read_run(folder)


def plan(recipe: Recipe | Mapping[str, Any] | Path | str, out: Path | str = "runs", **overrides: Any) -> pl.DataFrame:
    """What is done and what would run: a row for each stage with its `reason`, null where it is done.

    Arguments and errors as for `run`.
    """
    loaded = _loaded(recipe, overrides)
    rows = [(planned.stage.name, planned.reason) for planned in planning.plan(loaded, Path(out) / loaded.name)]
    return pl.DataFrame(rows, schema={"stage": pl.String, "reason": pl.String}, orient="row")


def open_run(folder: Path | str) -> Run:
    """The run in a folder, such as runs/demo; raises UserError where there is none."""
    return read_run(Path(folder))


def split_steps(text: str, splitter: str = "auto", max_steps: int | None = None) -> list[str]:
    """The steps of a solution, at most so many; joined they give the text back.

    Raises:
        UserError: there is no such splitter, or `max_steps` is below 1.
    """
    try:
        return splitting.split(splitter, text, max_steps=max_steps)
    except ValueError as error:
        raise UserError(str(error)) from None


def annotate(problem: str, solutions: Sequence[str], answer: str, policy: Mapping[str, Any] | None = None,
             out: Path | str | None = None, **options: Any) -> pl.DataFrame:
    """Values, advantages and pits of the steps of a handful of solutions: the table `steps` and each solution's text.

    Args:
        problem: its text.
        solutions: of this problem; correct and incorrect ones.
        answer: the reference answer that decides which are correct.
        policy: the generator that continues them, as in a recipe; by default the tiny model that comes with the
            package.
        out: a folder to keep the run and its journals in, so that a second call pays for nothing; by default a
            temporary one.
        options: of `annotate` in a recipe, such as `rollouts=16` or `splitter="sentence"`.

    Raises:
        RecipeError: an option does not fit.
        StageFailed: the policy could not be asked.
    """
    writer = {"name": "policy", "engine": "embedded", "model": "tiny", "samples": 0, **(policy or {})}
    writer["samples"] = 0
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(out) if out is not None else Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        given = home / "given.jsonl"
        given.write_bytes(orjson.dumps({"problem": problem, "answer": answer, "solutions": list(solutions)}) + b"\n")
        count = len(solutions)
        recipe = make_recipe({
            "name": "annotated", "problems": [{"source": "files", "paths": [str(given)]}],
            "generators": [{"name": OWN, "engine": "recorded", "paths": [str(given)],
                            "columns": {"problem": "problem", "solutions": "solutions"}}, writer],
            "deduplicate": {"near_problems": None}, "executor": {"tasks": 1, "workers": 1},
            "annotate": {"policy": writer["name"], "search": "exhaustive", "positives_per_problem": count,
                         "negatives_per_problem": count, **options}})
        folder = home / recipe.name
        planning.run(recipe, folder, planning.silent, lambda planned, account: None, last="annotate")
        tables = {name: pl.read_parquet(table_path(folder, name)) for name in ("steps", "solutions", "verdicts")}
    texts = tables["solutions"].select("solution_id", "sample_index", "solution")
    verdicts = tables["verdicts"].select("solution_id", "verdict")
    return tables["steps"].join(texts, on="solution_id").join(verdicts, on="solution_id").sort(
        "sample_index", "step_index")


def _loaded(recipe: Recipe | Mapping[str, Any] | Path | str, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with its overrides, validated."""
    if isinstance(recipe, Recipe):
        options: dict[str, Any] = recipe.model_dump(mode="json")
    elif isinstance(recipe, Mapping):
        options = dict(recipe)
    else:
        options = read_options(find_recipe(Path(recipe)))
    return make_recipe(_merged(options, overrides))


def _merged(options: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(options)
    for name, value in overrides.items():
        old = both.get(name)
        both[name] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both
