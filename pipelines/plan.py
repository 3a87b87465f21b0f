"""The plan: which stages there are, which of them are done, and running those that are not.

In: a recipe and the run's folder. Out: the tables and the release of the run. A stage has a fingerprint: its settings,
its version, and the fingerprints of its inputs. The same fingerprint as last time, with all tables in place, is done
and is skipped; anything else runs again, and so does a stage some of whose requests got no answer. What was paid for
lies in journals that no stage throws away.
"""

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import duckdb
import orjson
import yaml

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.parquet import is_whole
from stepforge.builders.release import is_finished
from stepforge.builders.tables import content_id
from stepforge.builders.terminal import in_line
from stepforge.pipelines.changes import UNKNOWN, why_changed
from stepforge.pipelines.checkpoint import Checkpoints
from stepforge.pipelines.executors import StageFailed, abandon
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.options.executor import ShardedStage, StageName
from stepforge.pipelines.progress import RUNNING, announced, end_told, runs_elsewhere
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import (
    damage_told,
    drops_path,
    owner_path,
    ran_with_path,
    read_state,
    recipe_path,
    release_path,
    server_logs_path,
    servers_path,
    state_path,
    table_files,
    table_path,
    work_path,
)
from stepforge.pipelines.stages.base import Context, Stage, Tell, why_failed
from stepforge.pipelines.stages.publish import foresee

STAGES: tuple[Stage, ...] = tuple(
    import_module(f"stepforge.pipelines.stages.{name}").STAGE for name in get_args(StageName)
)
PROGRAM = "a Python program"  # the owner of a run whose options stand in no file


@dataclass(frozen=True)
class Planned:
    """A stage with its fingerprint, and why it would run (null: it is done)."""

    stage: Stage
    fingerprint: str
    reason: str | None


def plan(recipe: Recipe, folder: Path) -> list[Planned]:
    """Every stage in order. What stands behind a stage that would run runs too where that stage's rows then differ."""
    state, planned = read_state(folder), _plan(recipe, _settings(recipe), folder)
    runs = [item.stage.name for item in planned if item.reason]
    explained = []
    for item in planned:
        if item.reason == UNKNOWN:
            again = [name for name in _read(item.stage, recipe) if name in runs]
            version = state[item.stage.name].get("version")
            item = replace(item, reason=why_changed(item.stage, version, recipe, folder, again))
        explained.append(item)
    return explained


def _plan(recipe: Recipe, settings: dict[str, Any], folder: Path) -> list[Planned]:
    state = read_state(folder)
    seen: dict[str, str] = {}
    return [_planned(stage, recipe, settings[stage.name], folder, state, seen) for stage in STAGES]


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Of every stage. This reads prompts, models and files, so it is done once for a run."""
    return {stage.name: stage.settings(recipe) for stage in STAGES}


def _read(stage: Stage, recipe: Recipe) -> list[str]:
    """The stages whose rows decide something for this one."""
    return [name for name in stage.inputs if name not in stage.unread(recipe)]


def _planned(stage: Stage, recipe: Recipe, settings: Any, folder: Path, state: dict[str, Any], seen: dict[str, str]
             ) -> Planned:
    """The stage's plan; puts into `seen` what later stages see of it: its fingerprint, and how much was left out.

    A failed request that is answered later makes other rows under the same settings.
    """
    inputs = [seen[name] for name in _read(stage, recipe)] + stage.imported(folder)
    fingerprint = content_id(stage.name, stage.version, settings, inputs)
    reason = _why(stage, fingerprint, state, folder)
    failed = 0 if reason == UNKNOWN else state.get(stage.name, {}).get("failed", 0)
    seen[stage.name] = seen_by_later(fingerprint, failed)
    return Planned(stage, fingerprint, reason)


def seen_by_later(fingerprint: str, failed: int) -> str:
    """What the stages behind one know it by."""
    return content_id(fingerprint, failed) if failed else fingerprint


def _why(stage: Stage, fingerprint: str, state: dict[str, Any], folder: Path) -> str | None:
    if stage.name not in state:
        return "never ran"
    if state[stage.name]["fingerprint"] != fingerprint:
        return UNKNOWN
    missing = [name for name in stage.tables if not is_whole(table_path(folder, name))]
    if stage.name in ("build", "card") and not is_finished(release_path(folder)):
        missing.append("release")
    if missing:
        return f"missing or damaged: {', '.join(missing)}"
    failed = state[stage.name].get("failed", 0)
    return f"{failed:,} requests got no answer and are asked again" if failed else None


def other_owner(folder: Path, recipe: Recipe, recipe_file: Path | None) -> str | None:
    """A warning where the run's folder was last run with other options, from another recipe file that still names it
    or, for a file, by a program; `recipe_file` is null for options of a program."""
    try:
        owner = owner_path(folder).read_text(encoding="utf-8")
        held = yaml.safe_load(recipe_path(folder).read_text(encoding="utf-8"))
    except OSError:
        return None
    if owner == _owner(recipe_file) or not (owner == PROGRAM or Path(owner).exists()) or held == _dumped(recipe):
        return None
    return (f"{folder} was made by {owner}, and {recipe_file or 'this recipe'} has the same `name`: stages whose "
            "settings differ run again in its place. Give the recipe another `name` to keep both")


def _owner(recipe_file: Path | None) -> str:
    return str(recipe_file.resolve()) if recipe_file else PROGRAM


def _dumped(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json")


def clash(recipe: Recipe, folder: Path, planned: list[Planned]) -> str | None:
    """Why the run would end without a published version, as far as that can be known before it."""
    reasons = {item.stage.name: item.reason for item in planned}
    return foresee(recipe, folder, reasons["build"] is not None) if reasons.get("publish") else None


def run(recipe: Recipe, folder: Path, tell: Tell, report: Callable[[Planned, dict[str, Any] | None], None],
        last: StageName = "publish", recipe_file: Path | None = None) -> None:
    """Run what is not done, in order, up to the stage `last`.

    `report` is told of every stage (its account, or null where it was done). The folder remembers `recipe_file`, or
    that there was none.

    Raises:
        UserError: another process runs in this folder, a stage cannot do what the recipe asks of it, or the version
            that the recipe names is published with other settings.
        StageFailed: a stage did not finish or lost rows; what it had done so far is kept.
    """
    if ":/" in str(folder):
        raise UserError(f"--out {folder}: a run needs a local or mounted disk, because it appends to "
                        "journals and locks them; give a folder. Sources may lie on s3:// or hf://, and `release.to` "
                        "may name the Hub")
    checkpoints = Checkpoints(folder, recipe.name, recipe.release)
    with locked(folder), checkpoints.pushing(tell), \
            Servers(server_logs_path(folder), servers_path(folder)) as servers:
        settings = _settings(recipe)    # all of them before anything is paid
        if last == "publish" and (reason := clash(recipe, folder, _plan(recipe, settings, folder))):
            raise UserError(f"nothing was run: {reason}")
        with replacing(recipe_path(folder)) as temporary:
            temporary.write_text(yaml.safe_dump(_dumped(recipe), sort_keys=False), encoding="utf-8")
        owner_path(folder).write_text(_owner(recipe_file), encoding="utf-8")
        seen: dict[str, str] = {}
        wanted = STAGES[:get_args(StageName).index(last) + 1]
        for number, stage in enumerate(wanted):
            if not any(later.journal for later in wanted[number:]):
                servers.close()
            state = read_state(folder)
            planned = _planned(stage, recipe, settings[stage.name], folder, state, seen)
            if planned.reason is None:
                checkpoints.done(stage.tables)
                report(planned, None)
                continue
            with end_told(folder, stage.name):
                _hold_back(stage.name, recipe, state, folder)
            own = recipe.model_copy(update={"executor": recipe.executor.of(stage.name)})
            work = work_path(folder, "-".join(
                [stage.name, planned.fingerprint[:12], str(own.executor.tasks), *_buckets(own)]))
            _forget_other_work(work)
            drops_path(folder, stage.name).unlink(missing_ok=True)
            started = time.monotonic()
            checkpoints.begin(stage.tables, work, own.executor.buckets)
            with end_told(folder, stage.name), _full_disk_told(stage.name, folder), damage_told(table_files(folder)):
                context = Context(own, folder, work, _announcing(folder, stage.name, tell), state, servers, STAGES)
                if stage.name in get_args(ShardedStage):
                    context.settle(*chain.from_iterable(s.tables for s in STAGES if s.name in stage.inputs))
                account = stage.run(context)
            account.check(stage.name)
            checkpoints.done(stage.tables)
            shutil.rmtree(work, ignore_errors=True)
            _keep_recipe(folder, stage.name)
            entry = {"fingerprint": planned.fingerprint, "version": stage.version, **asdict(account),
                     "seconds": round(time.monotonic() - started, 3)}
            write_state(folder, state | {stage.name: entry})
            seen[stage.name] = seen_by_later(planned.fingerprint, account.failed)
            report(planned, entry)
        (folder / RUNNING).unlink(missing_ok=True)


def _buckets(recipe: Recipe) -> list[str]:
    return [str(recipe.executor.buckets)] if recipe.executor.buckets > 1 else []


def _keep_recipe(folder: Path, stage: str) -> None:
    """Let the folder remember with which recipe the stage ran."""
    kept = ran_with_path(folder, stage)
    kept.parent.mkdir(exist_ok=True)
    with replacing(kept) as temporary:
        shutil.copyfile(recipe_path(folder), temporary)


def _hold_back(stage: str, recipe: Recipe, state: dict[str, Any], folder: Path) -> None:
    """Raises StageFailed for a stage of the release while requests before it have no answer."""
    if stage not in ("build", "card", "publish") or recipe.release.allow_failed:
        return
    for name, account in state.items():
        if failed := account.get("failed", 0):
            raise StageFailed(f"{stage} waits: {failed:,} requests of {name} got no answer{why_failed(folder, name)}. "
                              "Run the same command again to ask them again; `release.allow_failed: true` builds and "
                              "publishes without them.")


@contextmanager
def _full_disk_told(stage: str, folder: Path) -> Iterator[None]:
    """A full disk is nobody's bug: say so, whichever library met it."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if "No space left on device" not in str(error):
            raise
        raise StageFailed(f"{stage}: the disk that holds {folder} is full. Make room, then run the same command "
                          "again to go on.") from error


def _announcing(run: Path, stage: str, tell: Tell) -> Tell:
    """`tell`, and the same for machines that look at the run's folder."""
    @contextmanager
    def announcing(work: Path, label: str, documents: int) -> Iterator[None]:
        with announced(run, stage, work, label, documents), tell(work, label, documents):
            yield

    return announcing


def _forget_other_work(work: Path) -> None:
    """Remove what the same stage left behind under other settings; its journals lie elsewhere."""
    stage = work.name.split("-")[0]
    for other in work.parent.glob(f"{stage}-*"):
        if other != work:
            abandon(other)
            shutil.rmtree(other, ignore_errors=True)


def write_state(folder: Path, state: dict[str, Any]) -> None:
    with replacing(state_path(folder)) as temporary:
        temporary.write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, however it ends, and names who holds it.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = in_line(os.pread(descriptor, 200, 0).decode(errors="replace")) or "of unknown name"
            raise UserError(f"another process runs in {folder}: {holder}; wait for it, or end it") from error
        if elsewhere := runs_elsewhere(folder):
            raise UserError(f"another process runs in {folder}: {in_line(elsewhere)}; wait for it, or end it")
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def silent(work: Path, label: str, documents: int) -> Iterator[None]:
    """A `Tell` that tells nothing."""
    yield
