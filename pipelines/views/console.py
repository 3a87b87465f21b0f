"""What a person sees of a run: progress bars, the table of stages, and solutions with their steps in colour.

In: numbers and texts from tables. Out: rich renderables. Text that a model wrote is shown as plain text; it cannot set
colours or move the cursor.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import ProgressColumn as Column
from rich.table import Table
from rich.text import Text

from stepforge.builders.repeating import repeating
from stepforge.builders.terminal import cell as cell
from stepforge.builders.terminal import printable as printable
from stepforge.pipelines.progress import read_progress

if TYPE_CHECKING:  # all stages hang on it
    from stepforge.pipelines.plan import Planned

POLL_SECONDS = 0.5
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str, style: str = "", soft_wrap: bool = True) -> None:
    """Print text as it is, without markup and control characters; long lines stay whole unless `soft_wrap` is off."""
    out.print(cell(text, style), soft_wrap=soft_wrap)


def warn(warnings: Iterable[str]) -> None:
    """A line on standard error for each warning."""
    for warning in warnings:
        err.print(cell(f"warning: {warning}", "yellow"), soft_wrap=True)


class _Rate(Column):
    """Documents a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="cyan")


@contextmanager
def progress_bar(work: Path, label: str, documents: int) -> Iterator[None]:
    """A bar that follows what the ranks write to `work`; a spinner where the number of documents is not known."""
    columns = [SpinnerColumn(), TextColumn("{task.description}", style="bold"), BarColumn(), MofNCompleteColumn(),
               _Rate(), TimeRemainingColumn(), TextColumn("{task.fields[note]}", style="dim")]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(label, total=documents or None, note="")

        def update() -> None:
            counts = read_progress(work)
            note = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()) if name != "documents")
            progress.update(task, completed=counts["documents"], note=note)

        with repeating(update, POLL_SECONDS):
            yield


def account_line(planned: "Planned", account: Mapping[str, Any] | None) -> Text:
    """One line for a stage that was passed."""
    line = Text(f"{planned.stage.name:<13} ", style="bold")
    if account is None:
        return line.append("done before", style="dim")
    line.append(f"{account['rows_in']:>9,} in {account['rows_out']:>9,} out", style="default")
    if dropped := dropped_in_words(account["dropped"]):
        line.append(f"  dropped: {dropped}", style="yellow")
    line.append(f"  {account['seconds']:.1f} s", style="dim")
    for warning in account["facts"].get("warnings", ()):
        line.append(f"\n{'':<14}warning: {printable(warning)}", style="yellow")
    return line


def dropped_in_words(dropped: Mapping[str, int]) -> str:
    """How many rows were left out, by reason; a reason that none had is not named."""
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)


def plan_table(planned: "list[Planned]", expected: Mapping[str, str], state: Mapping[str, Any]) -> Table:
    """What is done, what would run and why, and what to expect of it."""
    table = Table("stage", "state", "rows out", "expected", title=None)
    for item in planned:
        account = state.get(item.stage.name)
        rows = f"{account['rows_out']:,}" if account and item.reason is None else ""
        done = Text("done", style="green")
        words = Text(printable(f"would run: {item.reason}"), style="yellow") if item.reason else done
        table.add_row(item.stage.name, words, rows, expected.get(item.stage.name, "") if item.reason else "")
    return table


def solution_view(solution: Mapping[str, Any], steps: list[dict[str, Any]]) -> Table:
    """A solution step by step: value with interval, advantage as a colour from red to green, the pit marked."""
    table = Table("", "step", "q", "95%", "advantage", "rollouts", show_lines=False)
    for row in steps:
        style = _colour(row["advantage"])
        interval = "" if row["q_low"] is None else f"{row['q_low']:.2f} to {row['q_high']:.2f}"
        table.add_row(
            Text("pit >", style="bold red") if row["is_pit"] else str(row["step_index"]),
            Text(printable(row["step"]), style=style),
            _number(row["q"]), interval, Text(_number(row["advantage"], "+"), style=style),
            f"{row['successes']}/{row['rollouts']}" if row["rollouts"] else "verdict",
        )
    return table


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.2f}"


def _colour(advantage: float | None) -> str:
    if advantage is None:
        return "default"
    if advantage <= -0.3:
        return "red"
    if advantage <= -0.1:
        return "yellow"
    return "green" if advantage >= 0.1 else "default"
