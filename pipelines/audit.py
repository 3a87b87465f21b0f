"""Audit by people: write a sample of solutions to read, take the answers back, and say how right the machines are.

`stepforge audit export RUN --sample 50 --out audit.html` draws solutions from strata of what the machine said, and
writes them without any of it: an HTML form in one file (fill it in, download a CSV), or a CSV to fill in.
`stepforge audit import RUN answers.csv --by NAME` checks the answers and keeps them in RUN/audits/NAME.parquet; the
next `stepforge run` puts the false-positive rate into the measures and the card. `stepforge audit report RUN` shows
the rates by method, and how far people and machines agree.
"""

import csv
import io
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows, replacing, write_rows
from stepforge.builders.sources.records import LONGEST_CELL
from stepforge.builders.sql import load_sql, open_duckdb, query_rows
from stepforge.builders.tables import AUDIT_SAMPLES, AUDITS, content_id
from stepforge.cards.run import MEMORY, run_tables
from stepforge.pipelines import console
from stepforge.pipelines.agreement import allocate, kappa
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.options.base import NAME
from stepforge.pipelines.recipe import load_recipe
from stepforge.pipelines.stages import people

TEXTS_SQL = """
SELECT solution_id, problem, answer, reference_solution, solution
FROM solutions JOIN problems USING (problem_id) WHERE solution_id IN (SELECT unnest($ids))
"""
COLUMNS = ("audit_id", "solution_id", "soundness", "first_error", "comment")  # of an answer
SHOWN = ("problem", "answer", "reference_solution", "solution")
OPINIONS = ("sound", "unsound", "unsure")
METHODS = {"false_equation_rate": "equations (lower bound)", "false_positive_rate_judge": "judge"}
MOST_TOLD = 10  # mistakes of one file


def export(run: Path, sample: int, out: Path, seed: int = 0) -> tuple[int, str]:
    """Write a stratified sample of the run's solutions to `out`; returns how many, and the sample's id.

    Raises:
        UserError: `out` exists or is neither .html nor .csv, or the sample is too small for the strata.
    """
    if out.suffix not in _WRITERS:
        raise UserError(f"{out}: the format {out.suffix!r} is not written; allowed: {', '.join(_WRITERS)}")
    if out.exists():
        raise UserError(f"{out} exists and may hold answers; name another file")
    splitter = _splitter(run)
    tables = run_tables(run, "problems", "solutions", "verdicts", "judgements")
    with open_duckdb(MEMORY, run / "work" / "spill", tables) as connection:
        ranked = query_rows(connection, load_sql(__package__, "audit_sample"), {"seed": str(seed), "sample": sample})
        drawn = {row["solution_id"]: row for row in _draw(list(ranked), sample)}
        items = list(query_rows(connection, TEXTS_SQL, {"ids": list(drawn)}))
    items.sort(key=lambda item: content_id("order", seed, item["solution_id"]))  # the order tells nothing
    for item in items:
        item["steps"] = splitting.split(splitter, item["solution"])
    strata = sorted((key, row["stratum"], row["population"]) for key, row in drawn.items())
    audit_id = content_id("audit", splitter, strata)[:12]
    rows = [{**drawn[item["solution_id"]], "audit_id": audit_id, "steps": len(item["steps"])} for item in items]
    write_rows(run / "audits" / "samples" / f"{audit_id}.parquet", rows, AUDIT_SAMPLES.schema)
    with replacing(out) as temporary:
        temporary.write_text(_WRITERS[out.suffix](audit_id, items), encoding="utf-8", newline="")
    return len(items), audit_id


def _splitter(run: Path) -> str:
    """The judge's, so that its steps and those that people see have the same numbers; else that of the annotation."""
    recipe = load_recipe(run / "recipe.yaml")
    cutting = recipe.judge or recipe.annotate
    return cutting.splitter if cutting else "newline"


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
    environment = Environment(loader=PackageLoader("stepforge.pipelines", "."), undefined=StrictUndefined,
                              autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = lambda text: console.printable(str(text))
    script = environment.get_template("audit_form.js.jinja").render()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return environment.get_template("audit_form.html.jinja").render(
        audit_id=audit_id, items=items, script=Markup(script), digest=Markup(digest), columns=",".join(COLUMNS))


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


def import_answers(run: Path, file: Path, by: str) -> tuple[int, int]:
    """Check the answers in `file` and add them to RUN/audits/BY.parquet; returns how many, and how many are blank.

    An answer to the same solution of the same sample replaces an earlier one of the same person.

    Raises:
        UserError: the file cannot be read, or any row in it is wrong; nothing is kept then.
    """
    if not re.fullmatch(NAME, by):
        raise UserError(f"--by: {by!r} is not a name; allowed are letters, digits, `.`, `_` and `-`")
    samples = {(row["audit_id"], row["solution_id"]): row["steps"]
               for path in people.sample_files(run) for row in read_rows(path)}
    if not samples:
        raise UserError(f"{run} holds no exported sample; make one with `stepforge audit export {run}`")
    answers: dict[tuple[str, str], dict[str, Any]] = {}
    mistakes, blank = [], 0
    for line, row in _read_answers(file):
        key = (row["audit_id"].strip(), row["solution_id"].strip())
        try:
            answer = _answer(row, key, samples)
            if key in answers:
                raise ValueError(f"solution {key[1]} is answered twice")
        except ValueError as error:
            mistakes.append(f"  line {line}: {error}")
            continue
        if answer is None:
            blank += 1
        else:
            answers[key] = answer
    if mistakes:
        more = f"\n  and {len(mistakes) - MOST_TOLD} more" if len(mistakes) > MOST_TOLD else ""
        raise UserError(f"{file} was not taken in:\n" + "\n".join(mistakes[:MOST_TOLD]) + more)
    if not answers:
        raise UserError(f"{file} holds no answer; fill in the column soundness with {', '.join(OPINIONS)}")
    path = run / "audits" / f"{by}.parquet"
    earlier = {(row["audit_id"], row["solution_id"]): row for row in read_rows(path)} if path.exists() else {}
    write_rows(path, [row for _, row in sorted((earlier | answers).items())], AUDITS.schema)
    return len(answers), blank


def _read_answers(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with the line that they end on, from a CSV with commas or, as some spreadsheets save it, semicolons."""
    csv.field_size_limit(LONGEST_CELL)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; it must be a CSV file in UTF-8") from error
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), restval="")
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise UserError(f"{file} has no column {', '.join(missing)}; was it made by `stepforge audit export`?")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}") from error


def _answer(row: dict[str, str], key: tuple[str, str], samples: dict[tuple[str, str], int]) -> dict[str, Any] | None:
    """One answer, checked; None where it was left blank. Raises ValueError for what is not allowed."""
    audit_id, solution_id = key
    if audit_id not in {known for known, _ in samples}:
        raise ValueError(f"audit_id {audit_id[:40]!r} is no sample of this run")
    if key not in samples:
        raise ValueError(f"solution_id {solution_id[:40]!r} is not in the sample {audit_id}")
    soundness, step = row["soundness"].strip().lower(), row["first_error"].strip()
    if soundness not in (*OPINIONS, ""):
        raise ValueError(f"soundness is {soundness[:40]!r}; allowed: {', '.join(OPINIONS)}, or nothing")
    if step and soundness != "unsound":
        raise ValueError(f"first_error is {step[:40]!r}, but soundness {soundness!r}; only unsound goes with a step")
    if step and not (re.fullmatch("[0-9]{1,6}", step) and 1 <= int(step) <= samples[key]):
        raise ValueError(f"first_error is {step[:40]!r}; allowed: a step from 1 to {samples[key]}, or nothing")
    if not soundness:
        return None
    return {"audit_id": audit_id, "solution_id": solution_id, "soundness": soundness,
            "first_error": int(step) - 1 if step else None, "comment": row["comment"]}


def report(run: Path) -> list[Table]:
    """False-positive rates by generator and method, and agreement of people with each machine."""
    tables = run_tables(run, "verdicts", "judgements", "measures")
    with open_duckdb(MEMORY, run / "work" / "spill", tables) as connection:
        opinions = people.read_opinions(run, connection)
    if not opinions:
        raise UserError(f"{run} has no answers yet; take some in with `stepforge audit import {run} FILE --by NAME`")
    machines = [row for row in read_rows(tables["measures"]) if row["measure"] in METHODS and row["by"] == "all"]
    rates = [(row["generator"], METHODS[row["measure"]], row) for row in machines]
    rates += [(row["generator"], "people", row) for row in people.measures(opinions)]
    shares = Table("generator", "method", "share", "95%", "judged", "left open", title="False positives")
    for generator, method, row in sorted(rates, key=lambda rate: rate[:2]):
        interval, left_open = f"{row['low']:.3f}-{row['high']:.3f}", f"{row['excluded']:,}"
        shares.add_row(generator, method, f"{row['value']:.3f}", interval, f"{row['n']:,}",
                       left_open if method == "people" else "")
    return [shares, _agreement(opinions)]


def _agreement(opinions: list[people.Opinion]) -> Table:
    """Two by two counts of the audited solutions, correct and incorrect ones, as they were drawn (not weighted)."""
    table = Table("machine", "both judged", "both unsound", "people alone", "machine alone", "neither", "kappa",
                  "same step", title="People against machines, on what people read")
    decided = [opinion for opinion in opinions if opinion.people]
    equations = [(o.people, "unsound" if o.equations == "unsound" else "sound") for o in decided]
    judge = [(o.people, o.judge) for o in decided if o.judge in ("sound", "unsound")]
    steps = [o.people_step == o.judge_step for o in decided
             if o.people == o.judge == "unsound" and o.people_step is not None and o.judge_step is not None]
    for name, pairs, same in (("equations", equations, []), ("judge", judge, steps)):
        agreed = kappa(pairs)
        counts = [pairs.count(pair) for pair in (("unsound", "unsound"), ("unsound", "sound"), ("sound", "unsound"),
                                                 ("sound", "sound"))]
        table.add_row(name, str(len(pairs)), *map(str, counts), "–" if agreed is None else f"{agreed:.2f}",
                      f"{sum(same)} of {len(same)}" if same else "–")
    return table


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
    count, audit_id = export(run, sample, out, seed)
    console.out.print(Text(f"{count} solutions in {out} (sample {audit_id})"), soft_wrap=True)


@app.command("import")
def import_command(
    run: Run,
    file: Annotated[Path, typer.Argument(help="The CSV that was filled in or downloaded.")],
    by: Annotated[str, typer.Option(help="Who read the solutions.")],
) -> None:
    """Take answers back; the next `stepforge run` puts the false-positive rate into measures and card."""
    answers, blank = import_answers(run, file, by)
    left = f", {blank} left blank" if blank else ""
    console.out.print(Text(f"{answers} answers of {by}{left}; see them with: stepforge audit report {run}"),
                      soft_wrap=True)


@app.command("report")
def report_command(run: Run) -> None:
    """Show the share of false positives by method, with 95% intervals, and how far people and machines agree."""
    for table in report(run):
        console.out.print(table)
