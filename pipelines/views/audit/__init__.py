"""Audit by people: write a sample of solutions to read, take the answers back, and say how right the machines are.

`stepforge audit export RUN --sample 50 --out audit.html` draws solutions from strata of what the machine said, and
writes them without any of it: an HTML form in one file (fill it in, download a CSV), or a CSV to fill in.
`stepforge audit import RUN answers.csv --by NAME` checks the answers and keeps them in RUN/audits/NAME.parquet; the
next `stepforge run` puts the false-positive rate into the measures and the card. `stepforge audit report RUN` shows
the rates by method, and how far people and machines agree.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Let people judge a sample of solutions, and report false positives and "
                                             "agreement.")
Run = Annotated[Path, typer.Argument(help="Folder of a run, such as runs/NAME.")]


@app.command("export")
def export_command(
    run: Run,
    out: Annotated[Path, typer.Option(help="File to write: a form FILE.html, or a table FILE.csv.")],
    sample: Annotated[int, typer.Option(min=1, help="Number of solutions to read.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the sample; another seed draws other solutions.")] = 0,
) -> None:
    """Write a stratified sample of solutions to read, without verdicts."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.export import export_sample

    count, audit_id = export_sample(run, sample, out, seed)
    console.say(f"{count} solutions in {out} (sample {audit_id})")


@app.command("import")
def import_command(
    run: Run,
    file: Annotated[Path, typer.Argument(help="CSV file with the answers.")],
    by: Annotated[str, typer.Option(help="Name of the reader.")],
) -> None:
    """Store the answers of a reader; the next `stepforge run` adds the false-positive rate to measures and card."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.answers import import_answers

    answers, blank = import_answers(run, file, by)
    left = f", {blank} left blank" if blank else ""
    console.say(f"{answers} answers of {by}{left}; see them with: stepforge audit report {run}")


@app.command("report")
def report_command(run: Run) -> None:
    """Show false-positive rates per method with 95% intervals, and the agreement of people and machines."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.report import report_tables

    for table in report_tables(run):
        console.out.print(table)
