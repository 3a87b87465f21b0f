"""The plan: which stages there are, which of them are done, and running those that are not.

In: a recipe and the run's folder. Out: the tables and the release of the run. A stage has a fingerprint: its settings,
its version, and the fingerprints of its inputs. The same fingerprint as last time, with all tables in place, is done
and is skipped; anything else runs again. What was paid for lies in journals that no stage throws away.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import replacing
from stepforge.builders.tables import content_id
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import (
    annotate,
    build,
    card,
    deduplicate,
    generate,
    judge,
    measure,
    problems,
    publish,
    synthesize,
    verify,
)
from stepforge.pipelines.stages.base import Context, Stage, Tell

STAGES: tuple[Stage, ...] = tuple(
    module.STAGE
    for module in (problems, synthesize, generate, verify, judge, deduplicate, annotate, measure, build, card, publish)
)


@dataclass(frozen=True)
class Planned:
    """A stage with its fingerprint, and why it would run (null: it is done)."""

    stage: Stage
    fingerprint: str
    reason: str | None


def plan(recipe: Recipe, folder: Path) -> list[Planned]:
    """Every stage in order; a stage behind one that will run will run too."""
    state = read_state(folder)
    fingerprints: dict[str, str] = {}
    planned = []
    for stage in STAGES:
        inputs = [fingerprints[name] for name in stage.inputs] + stage.imported(folder)
        fingerprints[stage.name] = content_id(stage.name, stage.version, stage.settings(recipe), inputs)
        planned.append(Planned(stage, fingerprints[stage.name], _why(stage, fingerprints[stage.name], state, folder)))
    return planned


def _why(stage: Stage, fingerprint: str, state: dict[str, Any], folder: Path) -> str | None:
    if stage.name not in state:
        return "never ran"
    if state[stage.name]["fingerprint"] != fingerprint:
        return "its settings or inputs changed"
    missing = [name for name in stage.tables if not (folder / "tables" / f"{name}.parquet").exists()]
    if stage.name in ("build", "card") and not (folder / "release" / "stepforge.json").exists():
        missing.append("release")
    return f"missing: {', '.join(missing)}" if missing else None


def run(recipe: Recipe, folder: Path, tell: Tell, report: Callable[[Planned, dict[str, Any] | None], None]) -> None:
    """Run what is not done, in order; `report` is told of every stage (its account, or null where it was done).

    Raises:
        UserError: another process runs in this folder.
        StageFailed: a stage did not finish or lost rows; what it had done so far is kept.
    """
    with locked(folder):
        with replacing(folder / "recipe.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
        for planned in plan(recipe, folder):
            state = read_state(folder)
            if planned.reason is None:
                report(planned, None)
                continue
            stage = planned.stage
            work = folder / "work" / f"{stage.name}-{planned.fingerprint[:12]}-{recipe.executor.tasks}"
            _forget_other_work(work)
            started = time.monotonic()
            account = stage.run(Context(recipe, folder, work, tell, state))
            account.check(stage.name)
            shutil.rmtree(work, ignore_errors=True)
            entry = {"fingerprint": planned.fingerprint, "version": stage.version, **asdict(account),
                     "seconds": round(time.monotonic() - started, 3)}
            write_state(folder, state | {stage.name: entry})
            report(planned, entry)


def _forget_other_work(work: Path) -> None:
    """Remove what the same stage left behind under other settings; its journals lie elsewhere."""
    stage = work.name.split("-")[0]
    for other in work.parent.glob(f"{stage}-*"):
        if other != work:
            shutil.rmtree(other, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any]:
    """What is known of finished stages: fingerprint, rows in and out, drops by reason, tokens, seconds."""
    try:
        state: dict[str, Any] = orjson.loads((folder / "state.json").read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return state


def write_state(folder: Path, state: dict[str, Any]) -> None:
    with replacing(folder / "state.json") as temporary:
        temporary.write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another process runs in {folder}; wait for it, or end it") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def silent(work: Path, label: str, documents: int) -> Iterator[None]:
    """A `Tell` that tells nothing."""
    yield
