"""The command line. Every command is a few lines: read the arguments, call a function, show what came out.

A user's mistake is one message and exit code 2; a stage that did not finish is exit code 1; Ctrl-C is 130. A command
imports what it needs when it runs, so `--help` and `status` answer in a fraction of the time that a run needs to
start.
"""

import io
import os
import runpy
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from stepforge.builders.errors import StageFailed, UserError, did_you_mean
from stepforge.pipelines import completion, init, release_commands
from stepforge.pipelines.views import MOST_SOLUTIONS, audit, batches

TRAINING = ("torch", "transformers", "safetensors", "accelerate", "peft", "trl")  # the extra `train`
METHODS = ("sft", "rft", "dpo", "step_dpo", "kto", "awr", "prm", "grpo")
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich",
                  context_settings={"help_option_names": ["-h", "--help"]},
                  help="Turn math problems with known answers into versioned, step-annotated training data.")

app.command("init")(init.init)
app.add_typer(audit.app, name="audit")
app.add_typer(batches.app, name="batch")


RecipeFile = Annotated[Path, typer.Argument(help="Recipe: a YAML file, or the name of a shipped recipe.",
                                             autocompletion=completion.recipes)]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a run, such as runs/NAME.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder that contains the folders of runs.")]
Changes = Annotated[list[str] | None, typer.Option(
    "--set", metavar="OPTION=VALUE", help="Change an option of the recipe, such as generators.0.samples=16. May be "
                                          "repeated; the manifest records the changed recipe.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"stepforge {installed('stepforge')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and "
                                                                                              "exit.")]
    = False,
) -> None:
    pass


@app.command("run")
def run_recipe(recipe: RecipeFile, out: Folder = Path("runs"), changes: Changes = None) -> None:
    """Run the stages of a recipe that are not done yet. Stop at any time; the same command resumes."""
    from stepforge.pipelines import plan
    from stepforge.pipelines.recipe import find_recipe, load_recipe
    from stepforge.pipelines.run_folder import read_state, release_path
    from stepforge.pipelines.views import console

    loaded = load_recipe(recipe, changes or ())
    console.warn(loaded.warnings())
    folder = out / loaded.name
    _warn(plan.other_owner(folder, loaded, find_recipe(recipe)))
    plan.run(loaded, folder, console.progress_bar,
             lambda planned, account: console.out.print(console.account_line(planned, account)),
             recipe_file=find_recipe(recipe))
    for label, path in (("dataset", ""), ("card", "README.md"), ("plots", "assets")):
        console.say(f"{label:<12}{release_path(folder) / path}")
    if loaded.release.to:
        console.say(f"published   {loaded.release.to} v{read_state(folder)['publish']['facts']['version']}")


@app.command("recipe")
def print_recipe(
    name: RecipeFile = Path("demo"),
    listing: Annotated[bool, typer.Option("--list", help="List the shipped recipes.")] = False,
    options: Annotated[bool, typer.Option("--options", help="List every option with its default; into a file "
                                                         "or pipe, a line for each.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
) -> None:
    """Print a shipped recipe as a start for your own: stepforge recipe demo > mine.yaml"""
    import json

    from stepforge.pipelines.recipe import Recipe, find_recipe, load_recipe
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.reference import options_lines, options_table, recipes_table

    if schema:
        typer.echo(json.dumps(Recipe.model_json_schema(), indent=2))
    elif options and console.out.is_terminal:
        console.out.print(options_table())
    elif options:
        typer.echo(options_lines())
    elif listing:
        console.out.print(recipes_table())
    else:
        load_recipe(name)
        typer.echo(find_recipe(name).read_text(encoding="utf-8").rstrip())


@app.command("plan")
def show_plan(
    recipe: RecipeFile,
    out: Folder = Path("runs"),
    probe: Annotated[bool, typer.Option(help="Run a few problems and estimate tokens, time and price of the whole "
                                             "run.")] = False,
    problems: Annotated[int, typer.Option(min=2, help="Number of problems for the probe.")] = 50,
    changes: Changes = None,
) -> None:
    """Show which stages are done, which would run and why, and their expected rows and cost. Runs only the --probe."""
    from stepforge.pipelines import plan
    from stepforge.pipelines.recipe import find_recipe, load_recipe
    from stepforge.pipelines.run_folder import read_state
    from stepforge.pipelines.views import console, estimate

    loaded = load_recipe(recipe, changes or ())
    console.warn(loaded.warnings())
    folder = out / loaded.name
    if probe:
        probed = estimate.probe(loaded, folder, problems, console.progress_bar,
                                lambda planned, account: console.out.print(console.account_line(planned, account)))
        console.out.print(estimate.table(probed))
        console.say(estimate.caveats(probed))
        return
    expected = estimate.expectations(loaded, folder)
    planned = plan.plan(loaded, folder)
    console.out.print(console.plan_table(planned, expected, read_state(folder)))
    _warn(plan.clash(loaded, folder, planned))
    _warn(plan.other_owner(folder, loaded, find_recipe(recipe)))


@app.command("status")
def show_status(
    run: RunFolder,
    follow: Annotated[bool, typer.Option(help="Refresh every two seconds until the run ends.")] = False,
) -> None:
    """Show the progress of a run: stages, ranks, rates, time left, failures. Works wherever the folder is visible."""
    from rich.live import Live

    from stepforge.pipelines.views import console, status

    with Live(status.view(run), console=console.out, auto_refresh=False) as live:
        while follow and status.is_running(run):
            time.sleep(status.LOOK_SECONDS)
            live.update(status.view(run), refresh=True)


@app.command("show")
def show_solution(
    run: RunFolder,
    solution_id: Annotated[str | None, typer.Argument(help="Solution: its id, or the first digits of it.")] = None,
) -> None:
    """Show a solution step by step with its values; without an id, list annotated solutions."""
    from stepforge.pipelines.views import console, show

    if solution_id is None:
        console.out.print(show.annotated_table(run))
        return
    problem, solution, steps = show.solution(run, solution_id)
    console.say(problem["problem"], style="bold", soft_wrap=False)
    gold, answer = problem["answer"], solution["answer"]
    verdict = f"{solution['verdict']} ({solution['method']})"
    console.say(f"gold {gold}; the solution says {answer}: {verdict}", soft_wrap=False)
    console.out.print(console.solution_view(solution, steps))


@app.command("compare")
def compare_generators(
    run: RunFolder,
    by: Annotated[str, typer.Option(help="Compare over all problems (generator), or within each level, subject or "
                                         "source.")]
    = "generator",
    match: Annotated[str | None, typer.Option(help="Cost to equalise: flops, price or samples; by default that of the "
                                                   "recipe's budget.")]
    = None,
) -> None:
    """Compare the generators of a run at equal cost: coverage, diversity, unique solves, false positives."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.comparison import compare
    from stepforge.pipelines.views.comparison_tables import comparison_tables

    for table in comparison_tables(compare(run, by, match)):
        console.out.print(table)


@app.command("report")
def report_run(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="HTML file to write; by default RUN/report.html.")] = None,
    solutions: Annotated[int, typer.Option(min=0, help="Largest number of solutions in the report.")] = MOST_SOLUTIONS,
) -> None:
    """Write the numbers, plots and solutions of a run to one HTML file that needs no network."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.report import write_report

    done = write_report(run, out, solutions)
    console.say(f"{done.path}: {done.size / 1e6:.1f} MB, {done.carried:,} of {done.solutions:,} solutions")


@app.command("measure")
def show_measures(
    run: RunFolder,
    by: Annotated[str, typer.Option(help="Grouping of problems: all, level, subject or source.")] = "all",
) -> None:
    """Show coverage, diversity, majorities, false positives, lengths, pits, advantages and costs of a run."""
    from stepforge.pipelines.views import console, measures

    for table in measures.measure_tables(run, by):
        console.out.print(table)


@app.command("score")
def score_run(
    run: RunFolder,
    model: Annotated[str, typer.Option(help="Folder or Hub id of a process reward model, such as one from train "
                                            "prm.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")] = None,
    device: Annotated[str, typer.Option(help="Device for the model: cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Score every solution of a run and its steps with a reward model. The same command resumes."""
    from stepforge.pipelines import scores
    from stepforge.pipelines.views import console

    done = scores.score(run, model, revision, device, console.progress_bar)
    console.say(f"{done.solutions:,} solutions, {done.scored:,} texts scored now, {done.without:,} without scores",
                soft_wrap=False)
    for table in ("solution_scores", "step_scores"):
        console.say(f"{table:<16}{done.folder / table}.parquet")


@app.command("verify")
def verify_file(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet file.")],
    gold: Annotated[str, typer.Option(help="Column with the gold answer.")] = "answer",
    solution: Annotated[str, typer.Option(help="Column with a solution, or with a list of solutions.")] = "solution",
    out: Annotated[Path | None, typer.Option(help="File for the verdicts: .jsonl or .parquet.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes for slow comparisons.")] = 2,
    verifier: Annotated[str, typer.Option(help="math, or module:function for your own code.")] = "math",
) -> None:
    """Verify the solutions in a file against gold answers: correct, incorrect, or undecided with a reason."""
    from stepforge.pipelines.views import console, verdicts

    for part in verdicts.verify_file(file, gold, solution, out, workers, verifier):
        console.out.print(part)


app.command("publish")(release_commands.publish_release)
app.command("versions")(release_commands.list_versions)
app.command("diff")(release_commands.diff_versions)
app.command("check")(release_commands.check_release)

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command("train", context_settings=PASS_ON)
def train(context: typer.Context,
          method: Annotated[str, typer.Argument(help=", ".join(METHODS), show_default=False,
                                                autocompletion=completion.one_of(METHODS))] = "--help") -> None:
    """Fine-tune on a release: stepforge train METHOD --config NAME [--learning_rate ...]; see METHOD --help."""
    if method in ("--help", "-h"):
        typer.echo(context.get_help())
        return
    if method not in METHODS:
        raise UserError(f"train: method {method!r} is not among {', '.join(METHODS)}{did_you_mean(method, METHODS)}")
    _run_module(f"stepforge.train.{method}", context.args)


@app.command("evaluate", context_settings=PASS_ON)
def evaluate(context: typer.Context) -> None:
    """Evaluate a model: pass@1, pass@k and maj@k with intervals; compare two result files."""
    _run_module("stepforge.train.evaluate", context.args)


def _run_module(name: str, arguments: list[str]) -> None:
    """Run a module as `python -m` would, in this process."""
    sys.argv = [name, *arguments]
    try:
        if find_spec("torch") is None:  # which evaluation asks for in another process
            raise ModuleNotFoundError(name="torch")
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in TRAINING:
            raise
        raise UserError("training and evaluation need more packages: pip install 'stepforge[train]' (missing: "
                        f"{package})") from error


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding shows ? in the place of a letter
            stream.reconfigure(errors="replace")
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except (UserError, StageFailed) as error:
        _fail(str(error), style="red")
        sys.exit(1 if isinstance(error, StageFailed) else 2)
    except KeyboardInterrupt:
        _fail("interrupted; every answer so far is stored, run the same command to resume")
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has read enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", style="red")
        sys.exit(1)


def _warn(message: str | None) -> None:
    if message:
        _fail(f"warning: {message}", style="yellow")


def _fail(message: str, style: str = "") -> None:
    from stepforge.pipelines.views import console

    console.err.print(console.cell(message, style), soft_wrap=True)


if __name__ == "__main__":
    main()
