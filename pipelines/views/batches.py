"""Batches on the command line: `stepforge batch export RUN FILE` and `stepforge batch import RUN ANSWERS`.

In: a run whose generator has `engine: batch`. Out: a file for a provider's batch API; and its answers in the journals
of the run, which is then run again (pipelines/inference/batch.py).
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Send requests through a provider's batch API.")
Run = Annotated[Path, typer.Argument(help="Folder of a run, such as runs/NAME.")]


@app.command("export")
def export_command(run: Run, out: Annotated[Path, typer.Argument(help="File to write, FILE.jsonl.")]) -> None:
    """Write the requests that have no answer yet."""
    from stepforge.pipelines.inference.batch import export_batch

    for path in export_batch(run, out):
        typer.echo(f"{path}: send it, then: stepforge batch import {run} ANSWERS")


@app.command("import")
def import_command(run: Run, answers: Annotated[Path, typer.Argument(help="File with the provider's "
                                                                          "answers.")]) -> None:
    """Store the answers of a batch in the run; then run its recipe again."""
    from stepforge.pipelines import plan
    from stepforge.pipelines.inference.batch import import_batch

    with plan.locked(run):
        done = import_batch(run, answers)
    typer.echo(f"{done.taken:,} answers taken, {done.known:,} known before, {done.failed:,} without an answer (the "
               f"next export has them), {done.foreign:,} of other runs")
