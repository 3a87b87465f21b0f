"""A comparison at equal cost as tables for a terminal."""

from typing import Any

from rich.table import Table

from stepforge.pipelines.views.comparison import Comparison, unique_for_cost

UNIT = {"flops": "FLOPs", "price": "money", "samples": "samples"}
LEFT_OUT = {"flops": "2 FLOPs for each active parameter and generated token; reading prompts is left out",
            "price": "tokens that were read and generated, at the recipe's prices",
            "samples": "every sample counts alike, however long it is"}
NAMES = {"coverage": "coverage", "diversity_text": "unique correct (text)",
         "diversity_equations": "unique correct (equations)", "diversity_sound": "unique correct, not found unsound"}
UNIQUE = tuple(name for name in NAMES if name != "coverage")


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Costs; coverage and diversity at equal cost; what a unit of cost brings; problems one alone solves; the rest."""
    tables = [_costs(comparison), _levels(comparison), _yields(comparison), _solved(comparison)]
    return tables + [table for table in (_false_positives(comparison), _apart(comparison)) if table.row_count]


def amount(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:.3e}"


def _costs(comparison: Comparison) -> Table:
    unit = UNIT[comparison.match]
    table = Table("generator", "samples a problem", "mean tokens", f"{unit} a token", f"{unit} a sample",
                  title=f"Cost of sampling, by {comparison.match}", caption=LEFT_OUT[comparison.match])
    for side in comparison.sides:
        table.add_row(side.generator, str(side.most), "" if side.tokens is None else f"{side.tokens:.1f}",
                      "" if side.token_cost is None else amount(side.token_cost), amount(float(side.cost)))
    return table


def _levels(comparison: Comparison) -> Table:
    """A row for each level and measure; a column for each generator, and one for what sets it apart."""
    grouped, names = comparison.by != "generator", [side.generator for side in comparison.sides]
    by_key = {(row["group"], row["level"], row["measure"], row["generator"]): row for row in comparison.rows}
    table = Table(*([comparison.by] if grouped else []), "cost", "measure",
                  title="Coverage and diversity at equal cost, with 95% intervals over problems",
                  caption=f"cost: in samples of {comparison.reference}")
    for name in names:
        table.add_column(name)
        if name != comparison.reference:
            table.add_column(f"minus {comparison.reference}")
    for group, level, measure in dict.fromkeys(key[:3] for key in by_key):
        cells = [cell for name in names for cell in _cells(by_key.get((group, level, measure, name)),
                                                            name == comparison.reference)]
        table.add_row(*([group] if grouped else []), str(level), NAMES[measure], *cells)
    return table


def _cells(row: dict[str, Any] | None, reference: bool) -> list[str]:
    """The value with its interval and k, and, but for the reference, the difference with its own."""
    if row is None:
        return ["too few samples"] + ([] if reference else [""])
    cells = [f"{row['value']:.3f} (k {row['k']})\n{row['low']:.3f} to {row['high']:.3f}"]
    if row["difference"] is not None:
        cells.append(f"{row['difference']:+.3f}\n{row['difference_low']:+.3f} to {row['difference_high']:+.3f}")
    return cells if reference or len(cells) == 2 else [*cells, ""]


def _yields(comparison: Comparison) -> Table:
    unit = scale(comparison)
    table = Table("measure", *([comparison.by] if comparison.by != "generator" else []), "generator", "value", "95%",
                  title=f"Unique correct solutions of a problem for {amount(unit)} {UNIT[comparison.match]}")
    for measure in UNIQUE:
        for row in unique_for_cost(comparison, measure):
            group = [row["group"]] if comparison.by != "generator" else []
            table.add_row(NAMES[measure], *group, row["generator"], f"{row['value'] * unit:.3f}",
                          f"{row['low'] * unit:.3f} to {row['high'] * unit:.3f}")
    return table


def scale(comparison: Comparison) -> float:
    """The power of ten next below what the highest level costs for one problem."""
    cost = max(float(side.cost) for side in comparison.sides) * max(row["level"] for row in comparison.rows)
    return float(f"1e{f'{cost:e}'.split('e')[1]}")


def _solved(comparison: Comparison) -> Table:
    table = Table("generator", "k", "problems", "solved", "solved by it alone", "share", "95%", "which",
                  title="Problems that one generator alone solves, at the highest cost")
    for row in comparison.solved:
        which = ", ".join(problem[:8] for problem in row.alone[:5]) + (" ..." if len(row.alone) > 5 else "")
        table.add_row(row.generator, str(row.k), str(row.n), str(row.solved), str(len(row.alone)), f"{row.share:.3f}",
                      f"{row.low:.3f} to {row.high:.3f}", which)
    return table


def _false_positives(comparison: Comparison) -> Table:
    table = Table("generator", "method", "share", "95%", "judged",
                  title="False positives: wrong reasoning behind right answers")
    for row in comparison.false_positives:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        table.add_row(row["generator"], row["measure"], f"{row['value']:.3f}", interval, str(row["n"]))
    return table


def _apart(comparison: Comparison) -> Table:
    table = Table("stage", "generated tokens", title="Not counted above")
    for stage, tokens in comparison.apart.items():
        table.add_row(stage, f"{tokens:,}")
    return table
