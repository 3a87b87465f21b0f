"""A run at scale, from problems to a published version: `make bench NAME=scale` (SIZES="10000 100000", TASKS=8).

A simulated policy answers at once (_policy.py), in the place of vLLM: problems x 8 samples, verification, 2 solutions
of each problem annotated by the adaptive search, build, and publication to a folder, on two workers, with as many
buckets as tasks. Each stage runs in a process of its own; CPU seconds are those of all its processes, exact, without
the policy's. Printed are CPU seconds per million solutions by stage and size. Stages that are done are not run again
while build/bench/scale holds them: `--fresh` begins anew. Writes build/bench/scale.json: growth_10x (CPU, of tenfold
problems), peak_gib_rank (memory of the largest rank), read_share (bytes that a rank of verify or deduplicate reads,
its start included, over its share of the tables, the worse stage), files_per_rank (in the run's folder, at most).
"""

import argparse
import ctypes
import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe

HERE = Path(__file__).parent
FOLDER = Path("build/bench/scale")
STAGES = ("problems", "generate", "verify", "deduplicate", "annotate", "measure", "build", "publish")
SAMPLES = 8
PR_SET_CHILD_SUBREAPER = 36
RANKS_OF = ("verify", "deduplicate")  # stages whose ranks read tables and ask no server


def write_problems(path: Path, count: int) -> None:
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(count):
            start, parts = draw.randint(1, 99), [draw.randint(2, 60) for _ in range(4)]
            gains = ", then ".join(f"{part} more" for part in parts)
            problem = f"Ada starts with {start} coins. She finds {gains}. How many coins are there (problem {number})?"
            file.write(json.dumps({"problem": problem, "answer": str(start + sum(parts))}) + "\n")


def recipe(folder: Path, tasks: int) -> dict[str, Any]:
    return {
        "name": "scale", "problems": [{"source": "files", "paths": [str(folder / "problems.jsonl")]}],
        "generators": [{"name": "policy", "engine": "vllm", "model": "tiny", "samples": SAMPLES, "max_tokens": 128}],
        "deduplicate": {"near_problems": None},
        "annotate": {"policy": "policy", "search": "adaptive", "rollouts": 8, "positives_per_problem": 1,
                     "negatives_per_problem": 1},
        "release": {"configs": ["positives", "negatives", "pairs", "step_pairs", "stepwise"],
                    "splits": {"test": 0.05}, "to": f"local:{folder / 'published'}", "version": "1.0.0"},
        "executor": {"tasks": tasks, "buckets": tasks, "workers": 2, "duckdb_memory": "1GiB"},
    }


class Watch(threading.Thread):
    """Looks at the ranks below this process five times a second: the most memory of one, and bytes that each read."""

    def __init__(self, run: Path) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.run_folder, self.peak, self.files = run, 0, 0
        self.read: dict[int, int] = {}

    def run(self) -> None:
        while not self.over.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                try:
                    if "forkserver" in " ".join(process.parent().cmdline()):  # type: ignore[union-attr]
                        self.peak = max(self.peak, process.memory_info().rss)
                        self.read[process.pid] = process.io_counters().read_chars
                except (psutil.Error, AttributeError):
                    continue
            self.files = max(self.files, sum(len(names) for _, _, names in os.walk(self.run_folder)))


def run_stage(folder: Path, stage: str, tasks: int) -> dict[str, Any]:
    """Run one stage in a process of its own; CPU seconds are of every process that it leaves to us."""
    policy, spent = folder / "policy", folder / "policy.cpu"
    policy.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "_policy.py"}" "$@"\n')
    policy.chmod(0o755)
    spent.write_text("")
    before = sum(path.stat().st_size for path in (folder / "scale" / "tables").rglob("*.parquet"))
    watch = Watch(folder / "scale")
    watch.start()
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--stage", stage, "--folder", str(folder), "--tasks",
                                str(tasks)], env=os.environ | {"STEPFORGE_VLLM_PYTHON": str(policy.absolute()),
                                                               "POLICY_CPU": str(spent.absolute())})
    cpu, code = 0.0, None
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += usage.ru_utime + usage.ru_stime
        if pid == process.pid:
            code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    wall = time.monotonic() - started
    watch.over.set()
    watch.join()
    if code:
        raise SystemExit(f"stage {stage} ended with code {code}")
    share = max(before / tasks, 1)
    return {"cpu": cpu - sum(map(float, spent.read_text().split())), "wall": wall, "peak": watch.peak,
            "files": watch.files, "read_share": max(watch.read.values(), default=0) / share}


def run_size(problems: int, tasks: int) -> dict[str, Any]:
    folder = FOLDER / str(problems)
    kept = folder / "measured.json"
    measured: dict[str, Any] = json.loads(kept.read_bytes()) if kept.exists() else {}
    if not measured:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_problems(folder / "problems.jsonl", problems)
    for stage in STAGES:
        if stage not in measured:
            measured[stage] = run_stage(folder, stage, tasks)
            kept.write_text(json.dumps(measured))
            print(f"{problems:,} problems: {stage} {measured[stage]['cpu']:.1f} s of CPU", flush=True)
    return measured


def report(sizes: dict[int, dict[str, Any]], tasks: int) -> None:
    million = {size: SAMPLES * size / 1e6 for size in sizes}
    print(f"{'CPU s per million solutions':30}" + "".join(f"{size:>12,}" for size in sizes))
    for stage in STAGES:
        print(f"{stage:30}" + "".join(f"{costs[stage]['cpu'] / million[size]:12.0f}" for size, costs in sizes.items()))
    totals = {size: sum(costs[stage]["cpu"] for stage in STAGES) for size, costs in sizes.items()}
    print(f"{'all':30}" + "".join(f"{totals[size] / million[size]:12.0f}" for size in sizes))
    first, last = min(sizes), max(sizes)
    ended = sizes[last]
    keys = {
        "growth_10x": (totals[last] / totals[first]) ** (1 / math.log10(last / first)) if last > first else None,
        "peak_gib_rank": max(ended[stage]["peak"] for stage in STAGES) / 2**30,
        "read_share": max(ended[stage]["read_share"] for stage in RANKS_OF),
        "files_per_rank": max(ended[stage]["files"] for stage in STAGES) / tasks,
    }
    print("  ".join(f"{name} {value:.2f}" for name, value in keys.items() if value is not None))
    Path("build/bench/scale.json").write_text(json.dumps(keys | {"tasks": tasks, "stages": sizes}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+",
                        default=[int(size) for size in os.environ.get("SIZES", "10000 100000").split()])
    parser.add_argument("--tasks", type=int, default=int(os.environ.get("TASKS", "8")))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.stage:
        made = Recipe.model_validate(recipe(arguments.folder, arguments.tasks))
        plan.run(made, arguments.folder / "scale", plan.silent, lambda planned, account: None, last=arguments.stage)
        return
    if sys.platform != "linux":
        raise SystemExit("CPU seconds of all processes are counted by a call that Linux alone has")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    if arguments.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    report({size: run_size(size, arguments.tasks) for size in sorted(arguments.sizes)}, arguments.tasks)


if __name__ == "__main__":
    main()
