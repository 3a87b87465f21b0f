"""Thirty runs of a small recipe, each with another fault: `make bench NAME=chaos` (as root: a disk must be filled).

The recipe asks a model server in a process of its own. A run is hit once: a process is killed (worker, parent,
server), the disk is full, a file is cut short, the server answers badly, the clock jumps. Then the same command runs
again, twice at most. Each run must end with every table complete, ids unique, as many seeds at a prefix as there are
rollouts, and the release that a run without faults makes. Writes build/bench/chaos.json.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from _trial import SAMPLES, Server, Trial, recipe

FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1")
RERUNS = 2


class Fault(NamedTuple):
    """One way to hit a run: kind, what to do to it, and what is needed for that."""

    kind: str
    hit: Callable[[Trial], None]
    needs: Callable[[], str | None] = lambda: None


# Faults: each runs the command once and hits it ------------------------------------------------------------------

def kill_parent(trial: Trial) -> None:
    process = trial.start()
    if trial.wait(process):
        process.kill()
    trial.finish(process)


def kill_worker(trial: Trial) -> None:
    trial.workers = 2
    process = trial.start()
    trial.wait(process)
    while process.is_alive():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if ranks := sorted(_ranks(process.pid)):
                os.kill(ranks[0], signal.SIGKILL)
                break
        time.sleep(0.005)
    trial.finish(process)


def _ranks(parent: int) -> Iterator[int]:
    """Processes of ranks: what the run's fork server has started."""
    for server in psutil.Process(parent).children():
        if "forkserver" in " ".join(server.cmdline()):
            yield from (rank.pid for rank in server.children())


def kill_server(trial: Trial) -> None:
    process = trial.start()
    if trial.wait(process):
        trial.server.kill()
    trial.finish(process)
    if trial.server.process.poll() is not None:
        trial.server.start()


def fill_disk(trial: Trial) -> None:
    """A disk of a random share of what a whole run needs; then it grows."""
    size = int(trial.size * trial.draw.uniform(0.05, 0.95))
    trial.note = f"{size // 1024} KiB"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(trial.folder)], check=True)
    trial.finish(trial.start())
    subprocess.run(["mount", "-o", "remount,size=256m", str(trial.folder)], check=True)


def cut_file(pattern: str, killed: bool) -> Callable[[Trial], None]:
    """A file loses its end while nobody looks: after a run that was killed, or one that had ended well."""
    def hit(trial: Trial) -> None:
        process = trial.start()
        if killed and trial.wait(process):
            process.kill()
        trial.finish(process)
        if files := [path for path in sorted(trial.run.glob(pattern)) if path.stat().st_size]:
            path = trial.draw.choice(files)
            left = trial.draw.randrange(path.stat().st_size)
            trial.note = f"{path.relative_to(trial.run).name} to {left} of {path.stat().st_size} bytes"
            os.truncate(path, left)
    return hit


def answer_badly(kind: str) -> Callable[[Trial], None]:
    def hit(trial: Trial) -> None:
        share = trial.draw.uniform(0.1, 0.5)
        trial.note = f"{share:.0%} of requests"
        good, trial.server = trial.server, Server({"faults": {kind: share}, "seed": trial.draw.randrange(1000)})
        trial.finish(trial.start())
        trial.server.kill()
        trial.server = good
    return hit


def jump_clock(hours: int) -> Callable[[Trial], None]:
    """The wall clock jumps while the command runs: a real process under libfaketime, whose offset is in a file."""
    def hit(trial: Trial) -> None:
        offset = trial.folder / "offset"
        offset.write_text("+0")
        (trial.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(trial.server.url, trial.folder, 1)))
        environment = os.environ | {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset),
                                    "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        command = [sys.executable, "-m", "stepforge.pipelines.cli", "run", str(trial.folder / "recipe.yaml"), "--out",
                   str(trial.folder)]
        with (trial.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wanted = trial.draw.randint(1, trial.lines)
        while process.poll() is None:
            if trial.answers() >= wanted:
                offset.write_text(f"{hours:+d}h")
            time.sleep(0.01)
        trial.note = f"{hours:+d} h after {wanted} of {trial.lines} answers"
        trial.codes.append(process.returncode)
    return hit


def _root() -> str | None:
    return None if os.geteuid() == 0 and shutil.which("mount") else "a disk can only be mounted by root"


def _faketime() -> str | None:
    """Why the clock cannot be made to jump; libfaketime is installed where it is missing and can be."""
    if not FAKETIME.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "libfaketime"], capture_output=True, check=False)
    return None if FAKETIME.exists() else "libfaketime is not installed"


FAULTS = [
    Fault("worker killed", kill_worker), Fault("parent killed", kill_parent), Fault("server killed", kill_server),
    Fault("disk full", fill_disk, _root), Fault("table cut", cut_file("tables/*.parquet", False)),
    Fault("release cut", cut_file("release/*/*.parquet", False)),
    Fault("journal cut", cut_file("*/*/*.jsonl", True)), Fault("state cut", cut_file("state.json", True)),
    *(Fault(f"server answers {kind}", answer_badly(kind)) for kind in ("500", "429", "garbage", "nothing", "half")),
    Fault("clock jumps ahead", jump_clock(7), _faketime), Fault("clock jumps back", jump_clock(-7), _faketime),
]


# What must hold afterwards ---------------------------------------------------------------------------------------

def seen(trial: Trial) -> dict[str, Any]:
    """Every table and published file, without what depends on the engine's cache and on the server's address."""
    contents: dict[str, Any] = {}
    for path in [path for folder in (trial.run / "tables", trial.run / "release", trial.folder / "published")
                 for path in sorted(folder.rglob("*.parquet")) if "/.unfinished-" not in str(path)]:
        try:
            rows = pq.ParquetFile(path).read().to_pylist()
        except (OSError, pa.ArrowInvalid):
            rows = [{"unreadable": path.stat().st_size}]
        for row in rows:
            row.pop("cached_prompt_tokens", None)
        contents[str(path.relative_to(trial.folder))] = [
            row for row in rows if not str(row.get("measure")).endswith("cached_prompt_tokens")]
    return contents


def faults_of(contents: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is wrong with a run's tables, in words."""
    wrong = [f"{name} differs" for name in sorted(expected.keys() | contents.keys())
             if contents.get(name) != expected.get(name)]
    solutions, rollouts = contents["chaos/tables/solutions.parquet"], contents["chaos/tables/rollouts.parquet"]
    for name, rows in (("solution_id", solutions), ("rollout_id", rollouts)):
        if len({row[name] for row in rows}) != len(rows):
            wrong.append(f"{name} is not unique")
    seeds: dict[Any, set[int]] = defaultdict(set)
    counts: Counter[Any] = Counter()
    for row in solutions:
        seeds[row["problem_id"]].add(row["seed"])
    for row in rollouts:
        place = (row["problem_id"], row["solution_id"], row["step_index"], row["origin"])
        seeds[place].add(row["seed"])
        counts[place] += 1
    wrong += [f"{len(contents)} seeds at {place}" for place, contents in seeds.items()
              if len(contents) != counts.get(place, SAMPLES)]
    return wrong


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stepforge-chaos-"))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-q", str(folder)], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def reference(server: Server) -> tuple[dict[str, Any], int, int]:
    """A run without faults: its tables, its journal lines and its size in bytes."""
    with scratch() as folder:
        trial = Trial(folder, server, 0, 0, 0)
        if trial.finish(trial.start()):
            raise SystemExit((folder / "log").read_text())
        lines = trial.answers()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return seen(trial), lines, size


def attempt(fault: Fault, server: Server, seed: int, expected: tuple[dict[str, Any], int, int]) -> dict[str, Any]:
    """Hit one run, run it again up to twice, and look at what came out."""
    with scratch() as folder:
        trial = Trial(folder, server, seed, *expected[1:])
        fault.hit(trial)
        for _ in range(RERUNS):
            if trial.finish(trial.start()) == 0:
                break
        wrong = faults_of(seen(trial), expected[0]) if trial.codes[-1] == 0 else [(folder / "log").read_text()[-600:]]
        return {"fault": fault.kind, "note": trial.note, "exit codes": trial.codes, "survived": not wrong,
                "traceback": "Traceback" in (folder / "log").read_text(), "wrong": wrong[:4]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    able = [fault for fault in FAULTS if _told_why_not(fault) is None]
    chosen = (able * arguments.runs)[: arguments.runs]
    random.Random(arguments.seed).shuffle(chosen)
    with ExitStack() as stack:
        server = Server()
        stack.callback(lambda: server.kill())
        expected = reference(server)
        print(f"{'fault':24}{'when':44}{'exit codes':16}survived", flush=True)
        results = []
        for number, fault in enumerate(chosen):
            result = attempt(fault, server, arguments.seed * 1000 + number, expected)
            results.append(result)
            print(f"{result['fault']:24}{result['note']:44}{result['exit codes']!s:16}"
                  f"{'yes' if result['survived'] else 'NO: ' + '; '.join(result['wrong'])}"
                  f"{' (traceback shown)' if result['traceback'] else ''}", flush=True)
    survived = sum(result["survived"] for result in results)
    print(f"{survived} of {len(results)} runs survived")
    path = Path("build/bench/chaos.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"survived": survived, "runs": len(results), "trials": results}, indent=2) + "\n")
    if survived < len(results):
        raise SystemExit(1)


def _told_why_not(fault: Fault) -> str | None:
    if reason := fault.needs():
        print(f"left out: {fault.kind}: {reason}")
    return reason


if __name__ == "__main__":
    main()
