"""A probe: a run over a few problems that says what the whole run would cost.

In: a recipe. Out: estimates for every stage that asks an engine: requests, tokens, time, FLOPs and price of the whole
run. The problems are a random subset, drawn by hash, and the probe is a run like any other in RUN/probe (with a card
and a release to look at, never published). It uses the journals of the run itself through
links, so the whole run does not pay for its requests again.
"""

from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from rich.table import Table

from stepforge.builders.files import replacing
from stepforge.builders.sql import load_sql, open_duckdb, query_rows
from stepforge.pipelines import plan
from stepforge.pipelines.budget import spent_on
from stepforge.pipelines.inference.journal import journal_lines
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import PROBE, read_state, table_path, work_path
from stepforge.pipelines.stages.base import Tell, tabulate_spent
from stepforge.pipelines.stages.judge import annotated
from stepforge.pipelines.stages.problems import NOT_DRAWN
from stepforge.pipelines.statistics.intervals import Z

JOURNALS = tuple(stage.journal for stage in plan.STAGES if stage.journal)
TABLES = ("problems", "drafts", "solutions", "verdicts", "rulings", "judgements", "rollouts")
TIMES = "times.json"
VERDICTS_SQL = """
SELECT generator, verdict, count(*)::BIGINT AS n FROM solutions JOIN verdicts USING (solution_id)
WHERE verdict IN ('correct', 'incorrect') GROUP BY ALL
"""


class Estimate(NamedTuple):
    """What the whole run would ask of one generator in one stage. None: not known.

    `margin` is half of the 95% interval of `completion_tokens`; it holds for the luck of the draw of problems alone.
    """

    stage: str
    generator: str
    requests: float
    prompt_tokens: float
    completion_tokens: float
    margin: float
    seconds: float | None
    flops: float | None
    price: float | None


class Probed(NamedTuple):
    """Estimates, and how many seed problems the probe had of how many."""

    estimates: list[Estimate]
    problems: int
    of: int


def probe(recipe: Recipe, folder: Path, problems: int, tell: Tell, report: Callable[..., None]) -> Probed:
    """Run the recipe on `problems` problems in FOLDER/probe and estimate the whole; run again, it goes on or is done.

    Raises:
        UserError, StageFailed: as `plan.run`.
    """
    own = folder / PROBE
    with plan.locked(folder):
        _link_journals(folder, own)
        times = _Times(own, folder)
        release = recipe.release.model_copy(update={"to": None, "checkpoint": None, "allow_failed": True})

        def note(planned: plan.Planned, account: dict[str, Any] | None) -> None:
            times.note(planned.stage.name, account)
            report(planned, account)

        plan.run(recipe.model_copy(update={"subset": problems, "release": release}), own, tell, note)
    return estimate(recipe, own, times.known)


def _link_journals(folder: Path, own: Path) -> None:
    own.mkdir(parents=True, exist_ok=True)
    for name in JOURNALS:
        (folder / name).mkdir(exist_ok=True)
        if not (own / name).is_symlink():
            (own / name).symlink_to(Path("..") / name, target_is_directory=True)


class _Times:
    """Seconds of every stage and how many completions it paid for in them, kept beside the probe.

    A stage that found some of its completions in the journal took less time than it would have without.
    """

    def __init__(self, own: Path, folder: Path) -> None:
        self._path, self._folder = own / TIMES, folder
        self.known: dict[str, dict[str, float]] = {}
        if self._path.exists():
            self.known = orjson.loads(self._path.read_bytes())
        self._paid = self._count()

    def note(self, stage: str, account: dict[str, Any] | None) -> None:
        before, self._paid = self._paid, self._count()
        if account is not None:
            self.known[stage] = {"seconds": account["seconds"], "paid": self._paid - before}
            with replacing(self._path) as temporary:
                temporary.write_bytes(orjson.dumps(self.known))

    def _count(self) -> int:
        return sum(journal_lines(self._folder / name) for name in JOURNALS)


def expectations(recipe: Recipe, folder: Path) -> dict[str, str]:
    """What stages are expected to make, in words, by the stage's name."""
    texts, problems = {}, None
    for stage in plan.STAGES:
        if (expected := stage.expects(recipe, problems, folder)) is not None:
            texts[stage.name], problems = expected
    return texts


def estimate(recipe: Recipe, own: Path, times: dict[str, dict[str, float]]) -> Probed:
    """What the whole run would cost, from the tables of a probe."""
    state = read_state(own)["problems"]
    drawn = state["rows_out"]
    total = drawn + state["dropped"].get(NOT_DRAWN, 0)
    tables = {name: table_path(own, name) for name in TABLES}
    with open_duckdb(recipe.executor.duckdb_memory, work_path(own, "spill"), tables) as connection:
        tabulate_spent(connection, plan.STAGES, recipe)
        spent = list(query_rows(connection, load_sql(__package__, "estimate")))
        verdicts = list(query_rows(connection, VERDICTS_SQL))
    growth = total / drawn
    judging = _judged(recipe, verdicts, drawn, growth)
    return Probed(list(_estimates(recipe, spent, times, drawn, growth, judging)), drawn, total)


def _estimates(recipe: Recipe, spent: list[dict[str, Any]], times: dict[str, dict[str, float]], drawn: int,
               growth: float, judging: float) -> Iterator[Estimate]:
    asked: dict[str, int] = {}
    for row in spent:
        asked[row["stage"]] = asked.get(row["stage"], 0) + row["requests"]
    for row in spent:
        generator = recipe.generator(row["generator"])
        if isinstance(generator, RecordedGenerator) or not row["requests"]:
            continue
        stage = row["stage"]
        factor = judging if stage == "judge" else growth
        tokens = row["completion_tokens"]
        variance = max(0.0, row["squares"] - tokens * tokens / drawn) / max(1, drawn - 1)
        known = times.get(stage, {"seconds": 0, "paid": 0})
        seconds = None  # not known where the journal held everything before; stretched where it held a part
        if known["paid"]:
            seconds = known["seconds"] * max(1, asked[stage] / known["paid"]) * row["requests"] / asked[stage]
        yield Estimate(
            stage, generator.name, row["requests"] * factor, row["prompt_tokens"] * factor, tokens * factor,
            Z * sqrt(drawn * variance * (1 - 1 / growth)) * factor, None if seconds is None else seconds * factor,
            *(spent_on(match, generator, model_path(generator.model), tokens * factor, row["prompt_tokens"] * factor,
                       row["cached"] * factor) for match in ("flops", "price")))


def _judged(recipe: Recipe, verdicts: list[dict[str, Any]], drawn: int, growth: float) -> float:
    """By how much the judge has more to read in the whole run: its samples are bounded, what is annotated is not."""
    if recipe.judge is None:
        return growth
    limits = {"correct": recipe.judge.correct_per_generator, "incorrect": recipe.judge.incorrect_per_generator}
    valued = drawn * sum(annotated(recipe).values())

    def read(factor: float) -> float:
        return valued * factor + sum(
            row["n"] * factor if (limit := limits[row["verdict"]]) is None else min(limit, row["n"] * factor)
            for row in verdicts)

    return read(growth) / read(1) if read(1) else growth


def table(probed: Probed) -> Table:
    """The estimates as a person reads them."""
    made = Table("stage", "generator", "requests", "prompt tokens", "generated tokens (95%)", "time", "FLOPs", "price")
    for row in probed.estimates:
        low, high = max(0.0, row.completion_tokens - row.margin), row.completion_tokens + row.margin
        made.add_row(row.stage, row.generator, _short(row.requests), _short(row.prompt_tokens),
                     f"{_short(row.completion_tokens)} ({_short(low)} to {_short(high)})", duration(row.seconds),
                     "" if row.flops is None else f"{row.flops:.1e}", "" if row.price is None else f"{row.price:,.2f}")
    made.add_section()
    flops, prices = [r.flops for r in probed.estimates], [r.price for r in probed.estimates]
    seconds = [r.seconds for r in probed.estimates]
    made.add_row("all", "", _short(sum(r.requests for r in probed.estimates)),
                 _short(sum(r.prompt_tokens for r in probed.estimates)),
                 _short(sum(r.completion_tokens for r in probed.estimates)),
                 duration(None if None in seconds else sum(s or 0 for s in seconds)),
                 "" if None in flops else f"{sum(f or 0 for f in flops):.1e}",
                 "" if None in prices else f"{sum(p or 0 for p in prices):,.2f}")
    return made


def caveats(probed: Probed) -> str:
    """What the numbers hold for, and what not."""
    if probed.problems >= probed.of:
        return f"The probe had all {probed.of:,} problems; the run will find everything that it needs in the journal."
    return (f"From {probed.problems:,} of {probed.of:,} problems, drawn at random. The interval tells of that draw "
            "alone. Time is that of the stages that ask an engine, on this machine with this executor. A short run is "
            "slower for its size: the start of the engine is in it, and its batches are less full, so the whole will "
            "rather take less. FLOPs are those of generated tokens, prices those of all. What "
            "the probe paid for is part of the sums, and the run will not pay for it again.")


def _short(number: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.3g} {unit}"
    return f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them; a question mark where they are not known."""
    if seconds is None:
        return "?"
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
