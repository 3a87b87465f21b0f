"""Every interval and every row of the results page's tables is a number of the JSON files beside it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

RESULTS = Path(__file__).resolve().parents[3] / "train" / "results"
PAGE = (RESULTS / "README.md").read_text(encoding="utf-8")
REPORTS = {file.relative_to(RESULTS).as_posix(): json.loads(file.read_text()) for file in RESULTS.rglob("*.json")}
NUMBER = r"([-+≥≤]?\d+(?:\.\d+)?x?)"
INTERVAL = re.compile(NUMBER + r"(?:,| points| times)? \(?" + NUMBER + " to " + NUMBER + r"\)")
HEAD = "| problems | arm | seeds | error |"
LINK = re.compile(r"\[table\]\(([^)]+)\)")
WITHOUT_INTERVAL = 18  # differences whose interval no report holds, since those reports are of before `differences`


def parts(report: Any) -> Iterator[Any]:
    """A JSON value and all that it holds."""
    yield report
    for inner in report.values() if isinstance(report, dict) else report if isinstance(report, list) else ():
        yield from parts(inner)


def multiplier(text: str) -> str:
    """`≥8.00x` as the page's first table and its sentences write it: ≥8."""
    bound = text[:1] if text[:1] in "≥≤" else ""
    return f"{bound}{float(text.strip('≥≤x')):g}"


def written(report: Any) -> Iterator[tuple[str, ...]]:
    """Every estimate of a report with its interval, in each of the forms that the page has for it."""
    for part in parts(report):
        for names in (("multiplier", "low", "high"), ("overall", "interval")):
            if isinstance(part, dict) and names[0] in part:
                given = [part[names[0]], *part["interval"]] if "interval" in names else [part[name] for name in names]
                yield from (tuple(given), tuple(one.rstrip("x") for one in given), tuple(map(multiplier, given)))
        if isinstance(part, dict) and "ratio_low" in part:
            yield tuple(f"{part[name]:.2f}" for name in ("ratio", "ratio_low", "ratio_high"))
        if isinstance(part, list) and len(part) == 3 and all(isinstance(one, float) for one in part):
            value, low, high = (100 * one for one in part)
            for points in ((value, low, high), (-value, -high, -low)):
                yield from (tuple(f"{one:+.1f}" for one in points), tuple(f"{one:.1f}" for one in points))


def differences_of_means(report: Any) -> Iterator[str]:
    """Points between every two arms and sizes of a report, over the seeds of both.

    Where the report lacks the interval it cannot be worked out again: which problems a run solved is not kept.
    """
    if "arms" not in report:
        return
    errors = {(run["arm"], run["size"], run["seed"]): run["error"] for run in report["runs"]}
    cells = sorted({(arm, size) for arm, size, _ in errors})
    for one in cells:
        for other in cells:
            seeds = [seed for *cell, seed in errors if tuple(cell) == one and (*other, seed) in errors]
            if seeds:
                points = 100 * mean(errors[*one, seed] - errors[*other, seed] for seed in seeds)
                yield from (f"{points:+.1f}", f"{points:.1f}")


def strangers(page: str) -> list[tuple[str, ...]]:
    """Intervals of a page that no report holds."""
    known = {triple for report in REPORTS.values() for triple in written(report)}
    triples = [match.groups() for match in INTERVAL.finditer(re.sub(r"\s+", " ", page))]
    return [triple for triple in triples if triple not in known]


def rows(report: Any, with_lines: bool) -> Iterator[str]:
    for one in report["arms"]:
        for size, at in one["sizes"].items():
            row = (f"| {int(size):,} | `{one['arm']}` | {at['seeds']} | {at['error']:.3f} | {at['ratio']:.2f} "
                   f"({at['ratio_low']:.2f} to {at['ratio_high']:.2f}) | {at['multiplier']} ({at['low']} to "
                   f"{at['high']}) | {at['slope']:+.2f} |")
            lines = mean(run["double_line"] for run in report["runs"] if (run["arm"], str(run["size"])) ==
                         (one["arm"], size))
            yield row + (f" {lines:.0%} |" if with_lines else "")


def test_every_interval_of_the_page_is_in_a_report() -> None:
    unkept, points = strangers(PAGE), {point for report in REPORTS.values() for point in differences_of_means(report)}
    assert [triple for triple in unkept if triple[0] not in points] == []
    assert len(unkept) <= WITHOUT_INTERVAL < 100 < len(INTERVAL.findall(PAGE))


@pytest.mark.parametrize("changed", ["0.21 (0.14 to 0.33)", "≥64 (≥64 to ≥65)", "-21.0 (-31.8 to -10.3)"])
def test_changed_interval_is_noticed(changed: str) -> None:
    assert len(strangers(PAGE + " " + changed)) == len(strangers(PAGE)) + 1


def test_tables_are_those_of_their_reports() -> None:
    before, *after = PAGE.split(HEAD)
    assert len(after) >= 5
    for rest in after:
        name = LINK.findall(before)[-1]
        head, _, *lines = rest.partition("\n\n")[0].split("\n")
        assert sorted(lines) == sorted(rows(REPORTS[name], "double lines" in head)), name
        before = rest
