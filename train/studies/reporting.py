"""What a scaling study found, as a JSON, a plot and a table in Markdown.

In: the folder of a study. Out, in another folder: `scaling_TASK.json` with the settings, every arm's errors,
multipliers, intervals, ratios and slopes, the difference of every two arms and of each to SFT on the most problems,
and every run with its cost and with the test problems that it solved, so that other intervals can be worked out from
the JSON alone; `scaling_TASK.svg`; and the table, as text.
"""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.train.studies.analysis import ArmResult, AtSize, Solved, analyse, paired
from stepforge.train.studies.lab import load


def report(out: Path, to: Path, resamples: int) -> str:
    """Analyse a folder, write JSON and plot into `to`, return the table. UserError if SFT has one size only."""
    results, solved = load(out)
    if len({size for arm, size, _ in solved if arm == "sft"}) < 2:
        raise UserError(f"{out} has SFT at fewer than two sizes, too few for a report; run more of the study")
    settings = json.loads((out / "settings.json").read_text())
    arms = analyse({key: row for key, row in solved.items() if key[0] != "base"}, seed=0, resamples=resamples)
    name = f"scaling_{settings['task']}"
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(
            {"settings": settings, "arms": [_told(one) for one in arms], "differences": differences(solved),
             "to_most_sft": to_most_sft(solved), "runs": results}, indent=1) + "\n")
    plot(arms, to / f"{name}.svg")
    base = [f"base model: error {row['error']:.3f}\n" for row in results if row["arm"] == "base"]
    return "".join(base) + table(arms)


def differences(solved: Solved) -> dict[int, dict[str, list[float]]]:
    """By size and "ARM - OTHER": the error of one less that of the other over the seeds of both, then its interval."""
    by_size: dict[int, dict[str, list[float]]] = {}
    for size, arms in sorted(_by_arm(solved).items()):
        pairs = {f"{one} - {other}": paired(arms[one], arms[other])
                 for other, one in combinations(sorted(arms, key=lambda arm: (arm != "sft", arm)), 2)}
        by_size[size] = {name: pair for name, pair in pairs.items() if pair}
    return by_size


def to_most_sft(solved: Solved) -> dict[int, dict[str, list[float]]]:
    """By size and arm: its error less that of SFT on the most problems, over the seeds of both, then its interval."""
    by_size = _by_arm(solved)
    most = max(size for size, arms in by_size.items() if "sft" in arms)
    pairs: dict[int, dict[str, list[float]]] = {}
    for size, arms in by_size.items():
        for arm in arms:
            pair = paired(arms[arm], by_size[most]["sft"])
            if arm != "sft" and size < most and pair:
                pairs.setdefault(size, {})[arm] = pair
    return pairs


def _by_arm(solved: Solved) -> dict[int, dict[str, dict[int, np.ndarray]]]:
    """What each arm solved, by size, arm and seed, in their order."""
    by_size: dict[int, dict[str, dict[int, np.ndarray]]] = {}
    for (arm, size, seed), row in sorted(solved.items(), key=lambda item: (item[0][1], item[0])):
        if arm != "base":
            by_size.setdefault(size, {}).setdefault(arm, {})[seed] = row
    return by_size


def table(arms: list[ArmResult]) -> str:
    """One line for every arm and size, the worst first at each size."""
    rows = sorted(((size, one.arm, at) for one in arms for size, at in one.sizes.items()),
                  key=lambda row: (row[0], -row[2].error))
    head = "| problems | arm | seeds | error | of SFT's error | SFT needs N times the problems, N | slope of SFT |"
    lines = [f"| {size:,} | `{arm}` | {at.seeds} | {at.error:.3f} | {at.ratio:.2f} ({at.ratio_low:.2f} to "
             f"{at.ratio_high:.2f}) | {at.multiplier} ({at.low} to {at.high}) | {at.slope:+.2f} |"
             for size, arm, at in rows]
    return "\n".join([head, "|---" * 7 + "|", *lines]) + "\n"


def _told(one: ArmResult) -> dict[str, Any]:
    return {"arm": one.arm, "errors": one.errors, "multipliers": {k: str(v) for k, v in one.multipliers.items()},
            "overall": str(one.overall), "interval": [str(one.low), str(one.high)],
            "sizes": {size: _at(at) for size, at in one.sizes.items()}, "power_law": one.law and one.law._asdict()}


def _at(at: AtSize) -> dict[str, Any]:
    return at._asdict() | {name: str(getattr(at, name)) for name in ("multiplier", "low", "high")}


def plot(arms: list[ArmResult], file: Path) -> None:
    """Error against the number of unique problems, both logarithmic, one line an arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for one in arms:
        axes.plot(list(one.errors), list(one.errors.values()), marker="o", label=f"{one.arm} ({one.overall})")
    axes.set(xscale="log", yscale="log", xlabel="unique problems", ylabel="error on held-out problems (greedy)")
    axes.legend(fontsize="small")
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg")
