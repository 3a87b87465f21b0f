"""The tool as functions: run a recipe, show its plan, annotate a handful of solutions in memory.

In: a recipe as a name, a path, a dict or a `Recipe`. Out: a `Run`, whose tables are polars LazyFrames. Works in a
script without a `__main__` guard and in a notebook: ranks run in this process unless the recipe asks for more workers.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import parts_of
from stepforge.pipelines import plan as planning
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.recipe import Recipe, find_recipe, make_recipe, read_options
from stepforge.pipelines.run_folder import Run, read_run, table_path
from stepforge.pipelines.views import console

OWN = "given"  # the generator that stands for solutions that were handed over


def run(recipe: Recipe | Mapping[str, Any] | Path | str, out: Path | str = "runs", progress: bool = True,
        **overrides: Any) -> Run:
    """Run the stages of a recipe that are not done yet, and return the run.

    Args:
        recipe: name of a shipped recipe, path of a YAML file, mapping of options, or a `Recipe`.
        out: folder that contains runs; this run goes to OUT/NAME.
        progress: whether to show progress bars and a line per stage on a terminal.
        overrides: options to change. A mapping changes the options that it names and keeps the others:
            `run("demo", name="small", release={"to": None})`. Give `name` too, or the run of the recipe is replaced.

    Raises:
        RecipeError: the recipe is not valid.
        StageFailed: a stage did not finish; call again to resume.
    """
    loaded = _loaded(recipe, overrides)
    console.warn(loaded.warnings())
    folder = Path(out) / loaded.name
    file = None if overrides or isinstance(recipe, Recipe | Mapping) else find_recipe(Path(recipe))
    if (warning := planning.other_owner(folder, loaded, file)) is not None:
        console.warn([warning])

    def report(planned: planning.Planned, account: dict[str, Any] | None) -> None:
        if progress:
            console.err.print(console.account_line(planned, account))

    planning.run(loaded, folder, console.progress_bar if progress else planning.silent, report,
                 recipe_file=file)
    return read_run(folder)


def plan(recipe: Recipe | Mapping[str, Any] | Path | str, out: Path | str = "runs", **overrides: Any) -> pl.DataFrame:
    """Report which stages would run: a row per stage with the `reason`, null if the stage is done.

    Arguments and errors as for `run`.
    """
    loaded = _loaded(recipe, overrides)
    console.warn(loaded.warnings())
    rows = [(planned.stage.name, planned.reason) for planned in planning.plan(loaded, Path(out) / loaded.name)]
    return pl.DataFrame(rows, schema={"stage": pl.String, "reason": pl.String}, orient="row")


def open_run(folder: Path | str) -> Run:
    """Open the run in a folder, such as runs/demo; raises UserError if there is none."""
    return read_run(Path(folder))


def split_steps(text: str, splitter: str = "auto", max_steps: int | None = None) -> list[str]:
    """Split a solution into steps, at most `max_steps` of them. The joined steps equal the text.

    Raises:
        UserError: there is no such splitter, or `max_steps` is below 1.
    """
    try:
        return splitting.split(splitter, text, max_steps=max_steps)
    except ValueError as error:
        raise UserError(str(error)) from None


def annotate(problem: str, solutions: Sequence[str], answer: str, policy: Mapping[str, Any] | None = None,
             out: Path | str | None = None, **options: Any) -> pl.DataFrame:
    """Annotate a few solutions in memory: values, advantages and pits of their steps, as a frame with a row per step.

    Args:
        problem: text of the problem.
        solutions: texts of solutions, correct or incorrect.
        answer: gold answer.
        policy: generator that continues the solutions, with the options of a recipe; by default the tiny model of
            the package.
        out: folder for the run and its journals, so that a second call samples nothing again; by default a temporary
            folder.
        options: options of `annotate` in a recipe, such as `rollouts=16` or `splitter="sentence"`.

    Raises:
        RecipeError: an option is not valid.
        StageFailed: the policy did not answer.

    Warns:
        UserWarning: a solution is not in the frame: it is empty, a copy of an earlier one, or has no verdict.
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
        tables = {name: pl.read_parquet(parts_of(table_path(folder, name)))
                  for name in ("steps", "solutions", "verdicts")}
    texts = tables["solutions"].select("solution_id", "sample_index", "solution")
    verdicts = tables["verdicts"].select("solution_id", "verdict")
    steps = tables["steps"].join(texts, on="solution_id").join(verdicts, on="solution_id").sort(
        "sample_index", "step_index")
    if absent := sorted(set(range(count)) - set(steps["sample_index"])):
        why = dict(texts.join(tables["verdicts"], on="solution_id").select(
            "sample_index", pl.format("{}", pl.coalesce("reason", "verdict"))).iter_rows())
        named = ", ".join(f"{index} ({why.get(index, 'empty')})" for index in absent)
        warnings.warn(f"{len(absent)} of {count} solutions are not annotated (from 0): {named}", stacklevel=2)
    return steps


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
