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

app = typer.Typer(no_args_is_help=True, help="Let people read a sample; report false positives and agreement.")
Run = Annotated[Path, typer.Argument(help="The folder of a run, such as runs/NAME.")]


@app.command("export")
def export_command(
    run: Run,
    out: Annotated[Path, typer.Option(help="FILE.html, a form to fill in, or FILE.csv.")],
    sample: Annotated[int, typer.Option(min=1, help="How many solutions to read.")] = 50,
    seed: Annotated[int, typer.Option(help="Another seed draws other solutions.")] = 0,
) -> None:
    """Write solutions to read, drawn from strata of what the machine said, and without its verdicts."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.export import export_sample

    count, audit_id = export_sample(run, sample, out, seed)
    console.say(f"{count} solutions in {out} (sample {audit_id})")


@app.command("import")
def import_command(
    run: Run,
    file: Annotated[Path, typer.Argument(help="The CSV that was filled in or downloaded.")],
    by: Annotated[str, typer.Option(help="Who read the solutions.")],
) -> None:
    """Take answers back; the next `stepforge run` puts the false-positive rate into measures and card."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.answers import import_answers

    answers, blank = import_answers(run, file, by)
    left = f", {blank} left blank" if blank else ""
    console.say(f"{answers} answers of {by}{left}; see them with: stepforge audit report {run}")


@app.command("report")
def report_command(run: Run) -> None:
    """Show the share of false positives by method, with 95% intervals, and how far people and machines agree."""
    from stepforge.pipelines.views import console
    from stepforge.pipelines.views.audit.report import report_tables

    for table in report_tables(run):
        console.out.print(table)
