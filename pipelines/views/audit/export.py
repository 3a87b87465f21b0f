"""Write a sample of a run's solutions for people to read, without anything that the machine said of them.

In: the run's solutions, drawn from strata of what the machine said (sample.sql). Out: an HTML form in one file (fill
it in, download a CSV), or a CSV to fill in; the sample is kept in the run's folder, so that answers can be checked.
"""

import csv
import io
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.opinion_tables import AUDIT_SAMPLES
from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import content_id
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import load_recipe
from stepforge.pipelines.run_folder import audit_samples_path, open_run_tables, recipe_path
from stepforge.pipelines.statistics.intervals import allocate
from stepforge.pipelines.views import console
from stepforge.pipelines.views.mathematics import markup

TEXTS_SQL = """
SELECT solution_id, problem, answer, reference_solution, solution
FROM solutions JOIN problems USING (problem_id) WHERE solution_id IN (SELECT unnest($ids))
"""
COLUMNS = ("audit_id", "solution_id", "soundness", "first_error", "comment")  # of an answer
SHOWN = ("problem", "answer", "reference_solution", "solution")


def export_sample(run: Path, sample: int, out: Path, seed: int = 0) -> tuple[int, str]:
    """Write a stratified sample of the run's solutions to `out`; returns how many, and the sample's id.

    Raises:
        UserError: `out` exists or is neither .html nor .csv, or the sample is too small for the strata.
    """
    if out.suffix not in _WRITERS:
        raise UserError(f"{out}: the format {out.suffix!r} is not supported; allowed: {', '.join(_WRITERS)}")
    if out.exists():
        raise UserError(f"{out} exists and may contain answers; give another file")
    splitter, max_steps = _splitter(run)
    with open_run_tables(run, "problems", "solutions", "verdicts", "judgements") as connection:
        ranked = query_rows(connection, load_sql(__package__, "sample"), {"seed": str(seed), "sample": sample})
        drawn = {row["solution_id"]: row for row in _draw(list(ranked), sample)}
        items = list(query_rows(connection, TEXTS_SQL, {"ids": list(drawn)}))
    items.sort(key=lambda item: content_id("order", seed, item["solution_id"]))  # the order tells nothing
    for item in items:
        item["steps"] = splitting.split(splitter, item["solution"], max_steps=max_steps)
    strata = sorted((key, row["stratum"], row["population"]) for key, row in drawn.items())
    audit_id = content_id("audit", splitter, max_steps, strata)[:12]
    rows = [{**drawn[item["solution_id"]], "audit_id": audit_id, "steps": len(item["steps"])} for item in items]
    rows = [{name: row[name] for name in AUDIT_SAMPLES.schema.names} for row in rows]
    write_rows(audit_samples_path(run) / f"{audit_id}.parquet", rows, AUDIT_SAMPLES.schema)
    with replacing(out) as temporary:
        temporary.write_text(_WRITERS[out.suffix](audit_id, items), encoding="utf-8", newline="")
    return len(items), audit_id


def _splitter(run: Path) -> tuple[str, int | None]:
    """The judge's, so that its steps and those that people see have the same numbers; else that of the annotation."""
    recipe = load_recipe(recipe_path(run))
    cutting = recipe.judge or recipe.annotate or Annotate(policy="")
    return cutting.splitter, cutting.max_steps


def _draw(ranked: list[dict[str, Any]], sample: int) -> list[dict[str, Any]]:
    """The first of every stratum, as many as it is allotted."""
    sizes = {f"{row['generator']}: {row['stratum']}": row["population"] for row in ranked}
    if not sizes:
        raise UserError("the run has no solution with a verdict, correct or incorrect; there is nothing to audit")
    try:
        allotted = allocate(sizes, sample)
    except ValueError as error:
        raise UserError(f"--sample: {error} ({'; '.join(sizes)})") from error
    return [row for row in ranked if row["place"] <= allotted[f"{row['generator']}: {row['stratum']}"]]


def html_form(audit_id: str, items: list[dict[str, Any]]) -> str:
    """A form in one file. Text of models is escaped, and no script runs but ours, whose hash the page names."""
    environment = Environment(loader=PackageLoader("stepforge.pipelines.views.audit", "."), undefined=StrictUndefined,
                              autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = lambda text: markup(console.printable(str(text)))
    style = (files("stepforge.pipelines.views") / "templates" / "report.css").read_text(encoding="utf-8")
    script = environment.get_template("form.js.jinja").render()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return environment.get_template("form.html.jinja").render(
        audit_id=audit_id, items=items, style=Markup(style), script=Markup(script), digest=Markup(digest),
        columns=",".join(COLUMNS))


def csv_form(audit_id: str, items: list[dict[str, Any]]) -> str:
    """A table to fill in. A cell that a spreadsheet would take for a formula starts with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *SHOWN])
    for item in items:
        steps = "\n".join(f"[{number}] {step.rstrip()}" for number, step in enumerate(item["steps"], start=1))
        cells = [item["problem"], item["answer"], item["reference_solution"] or "", steps]
        writer.writerow([audit_id, item["solution_id"], "", "", "", *(_defused(cell) for cell in cells)])
    return text.getvalue()


def _defused(cell: str) -> str:
    shown = console.printable(cell)
    return "'" + shown if shown.lstrip().startswith(("=", "+", "-", "@")) else shown


_WRITERS = {".html": html_form, ".csv": csv_form}
