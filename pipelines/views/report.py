"""The report: a run as one HTML file that needs nothing else, no network, no server.

In: the folder of a run. Out: numbers and plots (report_facts.py, report_plots.py) in a page, and a browser of
solutions whose data is inside the page, compressed (report_solutions.py). The page's own script and style are the only
ones that its content security policy lets run, and it may load nothing from anywhere. Texts of models are in the data
alone; the script shows them as text, never as markup.
"""

import hashlib
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from stepforge.builders.files import replacing
from stepforge.builders.parquet import count_rows, read_rows
from stepforge.pipelines.run_folder import Run, read_run, run_tables
from stepforge.pipelines.views import MOST_SOLUTIONS
from stepforge.pipelines.views import report_facts as facts
from stepforge.pipelines.views import report_plots as plots
from stepforge.pipelines.views.comparison import Comparison
from stepforge.pipelines.views.comparison_tables import LEFT_OUT
from stepforge.pipelines.views.comparison_tables import NAMES as LABELS
from stepforge.pipelines.views.mathematics import FORMULA
from stepforge.pipelines.views.report_solutions import carry

TEMPLATES = files(__package__) / "templates"


class Written(NamedTuple):
    """The file, its size in bytes, and how many of the run's solutions can be browsed in it."""

    path: Path
    size: int
    carried: int
    solutions: int


def write_report(folder: Path, out: Path | None = None, most: int = MOST_SOLUTIONS) -> Written:
    """Write the report of a run, by default to RUN/report.html.

    Raises:
        UserError: the folder is none of a run, or the run has not come so far as to have steps and measures.
    """
    run = read_run(folder)
    tables = run_tables(folder, "problems", "solutions", "verdicts", "duplicates", "steps", "measures", "budgets")
    carried = carry(run, most)
    total = count_rows(tables["solutions"])
    page = _render(_context(run, tables) | {"data": Markup(carried.base64), "formula": FORMULA,
                                            "carried": carried.solutions, "total": total})
    path = out or folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Written(path, path.stat().st_size, carried.solutions, total)


def _render(context: dict[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style, script = ((TEMPLATES / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.from_string((TEMPLATES / "report.html.jinja").read_text(encoding="utf-8"))
    return template.render(context, style=Markup(style), script=Markup(script), digest=digest)


def _context(run: Run, tables: dict[str, Path]) -> dict[str, Any]:
    outcomes, steps, comparison = facts.outcomes(run), facts.steps(run), facts.compared(run)
    measures = [row for row in read_rows(tables["measures"]) if row["by"] == "all" and row["k"] is not None]
    funnel = facts.funnel(run, outcomes)
    order = sorted({row["generator"] for row in outcomes})
    names, rows = facts.comparison_rows(comparison) if isinstance(comparison, Comparison) else ([], [])
    return {
        "name": run.recipe.name, "funnel": funnel, "order": order,
        "tiles": _tiles(count_rows(tables["problems"]), funnel, steps, outcomes, facts.rollout_tokens(run)),
        "stages": facts.stage_drops(run), "generators": facts.by_generator(outcomes),
        "curves": _curves(measures, order), "ledger": facts.ledger(run),
        "comparison": comparison if isinstance(comparison, Comparison) else None,
        "why_not": comparison if isinstance(comparison, str) else "", "compared": rows, "compared_names": names,
        "left_out": LEFT_OUT[comparison.match] if isinstance(comparison, Comparison) else "",
        "at_cost": _at_cost(comparison, order) if isinstance(comparison, Comparison) else {},
        "steps": _step_plots(steps),
    }


def _tiles(problems: int, funnel: list[facts.Level], steps: facts.Steps, outcomes: list[dict[str, Any]],
           rollout_tokens: int) -> list[tuple[str, str]]:
    left = {level.name: level.left for level in funnel}
    tokens = sum(row["tokens"] for row in outcomes)
    return [("problems", f"{problems:,}"), ("solutions", f"{left['solutions']:,}"),
            ("correct", f"{left['correct'] / max(1, left['with a verdict']):.1%}"),
            ("unique and correct", f"{left['unique and correct']:,}"),
            ("valued steps", f"{len(steps.others) + len(steps.at_pits):,}"), ("first pits", f"{len(steps.pits):,}"),
            ("sampled tokens", f"{tokens:,}" if tokens else "–"),
            ("rollout tokens", f"{rollout_tokens:,}" if rollout_tokens else "–")]


def _curves(measures: list[dict[str, Any]], order: list[str]) -> dict[str, Markup]:
    return {label: Markup(plots.curves(measure, measures, measure, label, order))
            for measure, label in LABELS.items() if any(row["measure"] == measure for row in measures)}


def _at_cost(comparison: Comparison, order: list[str]) -> dict[str, Markup]:
    x_label = f"cost, in samples of {comparison.reference}"
    return {label: Markup(plots.curves(f"cost-{measure}", comparison.rows, measure, label, order, "level", x_label))
            for measure, label in LABELS.items()}


def _step_plots(steps: facts.Steps) -> dict[str, Markup]:
    drawn = {}
    if steps.pits:
        drawn["Where solutions are lost"] = Markup(plots.pits("pits", steps.pits))
    if steps.others or steps.at_pits:
        drawn["How much steps help or hurt"] = Markup(plots.advantages("advantages", steps.others, steps.at_pits,
                                                                          steps.rollouts))
    return drawn
