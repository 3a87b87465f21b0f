"""How a run stands, from the files in its folder alone: any machine that sees them can look, and nothing is locked.

In: RUN/state.json (finished stages), RUN/running.json (the process at work) and the ranks' progress files. Out: tables
for the command line. The clock of this machine is used for one thing, whether the run still lives, and not trusted
even there: a run that looks dead is looked at twice, and lives if its pulse has gone on.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from stepforge.builders.errors import UserError
from stepforge.pipelines.options.executor import StageName
from stepforge.pipelines.progress import PULSE_SECONDS, RUNNING, read_json, read_ranks
from stepforge.pipelines.run_folder import read_state, recipe_path
from stepforge.pipelines.views.console import dropped_in_words
from stepforge.pipelines.views.tables import lean

LOOK_SECONDS = 2.0
FRESH_SECONDS = 10.0  # five pulses
LISTED_RANKS = 40


def view(run: Path) -> Group:
    """Everything there is to tell.

    Raises:
        UserError: the folder is not that of a run.
    """
    if not recipe_path(run).exists():
        raise UserError(f"{run} is not the folder of a run: it holds no recipe.yaml (runs are kept in runs/NAME)")
    running, state = read_json(run / RUNNING), read_state(run)
    parts: list[Any] = [headline(run, running), stages_table(state, running)]
    if running is not None and running["state"] != "between stages":
        work = run / running["work"]
        if ranks := read_ranks(work):
            parts += [total_line(ranks, running["documents"], work), ranks_table(ranks, work)]
    return Group(*parts)


def is_running(run: Path) -> bool:
    """Whether a process works on the run now."""
    running = read_json(run / RUNNING)
    return running is not None and running["state"] in ("running", "between stages") and _lives(run, running)


def _lives(run: Path, running: Mapping[str, Any]) -> bool:
    """Its file is fresh, or its pulse goes on although the clocks say that it is not."""
    try:
        age = time.time() - (run / RUNNING).stat().st_mtime
    except FileNotFoundError:
        return False
    if abs(age) < FRESH_SECONDS:
        return True
    time.sleep(PULSE_SECONDS + 1)
    return (read_json(run / RUNNING) or running)["pulse"] != running["pulse"]


def headline(run: Path, running: Mapping[str, Any] | None) -> Text:
    """One line: what the run is doing, or why it is not."""
    if running is None:
        return Text(f"{run}: nothing runs")
    where = f"{running['host']}, process {running['pid']}"
    if running["state"] == "stopped":
        why = f". {running['why']}" if running.get("why") else "; run the recipe again to resume"
        return Text(f"{run}: stopped in {running['stage']} on {where}{why}", style="red")
    if not _lives(run, running):
        return Text(f"{run}: the process ended in {running['stage']} on {where} and left no reason; run the recipe "
                    "again to resume", style="red")
    return Text(f"{run}: {running['label']} for {span(running['seconds'])} on {where}", style="green")


def stages_table(state: Mapping[str, Any], running: Mapping[str, Any] | None) -> Table:
    """Every stage with its account."""
    whole = [Column(name, no_wrap=True) for name in ("stage", "state", "rows in", "rows out", "failed", "tokens")]
    table = Table(*whole, "time", Column("dropped", overflow="fold"), box=SIMPLE_HEAD, collapse_padding=True,
                  pad_edge=False)
    for stage in get_args(StageName):
        account = state.get(stage)
        at_work = running is not None and running["stage"] == stage and running["state"] != "between stages"
        if account is None or at_work:
            table.add_row(stage, str(running["state"]) if running and at_work else "to do")
            continue
        tokens = account["ledger"].get("completion_tokens", 0)
        failed = account.get("failed", 0)
        table.add_row(stage, "done", f"{account['rows_in']:,}", f"{account['rows_out']:,}",
                      f"{failed:,}" if failed else "", f"{tokens:,}" if tokens else "", span(account["seconds"]),
                      dropped_in_words(account["dropped"]))
    return lean(table, "state")


def total_line(ranks: Mapping[int, Mapping[str, Any]], documents: int, work: Path) -> Text:
    """Documents done, the rate of the ranks at work, and the time left at that rate."""
    done = sum(progress["counts"].get("documents", 0) for progress in ranks.values())
    rate = sum(_rate(progress) for rank, progress in ranks.items() if not _finished(work, rank))
    line = Text(f"{done:,} of {documents:,} documents" if documents else f"{done:,} documents")
    if rate:
        line.append(f", {rate:.1f} a second")
        if documents > done:
            line.append(f", about {span((documents - done) / rate)} left")
    return line


def ranks_table(ranks: Mapping[int, Mapping[str, Any]], work: Path) -> Table:
    """Every rank that has begun, those at work first."""
    table = Table("rank", Column("state", no_wrap=True), "documents", "a second", "requests", "replayed", "tokens",
                  "failed", "host", "silent")
    order = sorted(ranks, key=lambda rank: (_finished(work, rank), rank))
    for rank in order[:LISTED_RANKS]:
        progress = ranks[rank]
        counts = progress["counts"]
        numbers = [f"{counts.get(name, 0):,}" for name in ("requests", "from_journal", "tokens", "failed")]
        finished = _finished(work, rank)
        table.add_row(str(rank), "done" if finished else "at work", f"{counts.get('documents', 0):,}",
                      f"{_rate(progress):.2f}", *numbers, progress["host"], "" if finished else span(progress["age"]))
    if len(order) > LISTED_RANKS:
        table.caption = f"and {len(order) - LISTED_RANKS:,} more ranks"
    return table


def _finished(work: Path, rank: int) -> bool:
    return (work / "completions" / f"{rank:05d}").exists()


def _rate(progress: Mapping[str, Any]) -> float:
    """Documents a second by the rank's own clock."""
    return float(progress["counts"].get("documents", 0) / progress["seconds"]) if progress["seconds"] > 0 else 0.0


def span(seconds: float) -> str:
    """Seconds for people: 12 s, 3:20 min, 2:05 h."""
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
