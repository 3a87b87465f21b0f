"""How often reasoning behind a correct answer is false, by the method that judged it, and how far methods agree.

In: the measures of a run and the answers of people. Out: two rich tables.
"""

from pathlib import Path

from rich.table import Table

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.run_folder import open_run_tables, run_tables
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.statistics.intervals import kappa

METHODS = {"false_equation_rate": "equations (lower bound)", "false_positive_rate_judge": "judge"}


def report_tables(run: Path) -> list[Table]:
    """False-positive rates by generator and method, and agreement of people with each machine."""
    measures = run_tables(run, "verdicts", "judgements", "measures")["measures"]
    with open_run_tables(run, "verdicts", "judgements") as connection:
        opinions = people.read_opinions(run, connection)
    if not opinions:
        raise UserError(f"{run} has no answers yet; import some with `stepforge audit import {run} FILE --by NAME`")
    machines = [row for row in read_rows(measures) if row["measure"] in METHODS and row["by"] == "all"]
    rates = [(row["generator"], METHODS[row["measure"]], row) for row in machines]
    rates += [(row["generator"], "people", row) for row in people.measures(opinions)]
    shares = Table("generator", "method", "share", "95%", "judged", "left open", title="False positives")
    for generator, method, row in sorted(rates, key=lambda rate: rate[:2]):
        interval, left_open = f"{row['low']:.3f} to {row['high']:.3f}", f"{row['excluded']:,}"
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
