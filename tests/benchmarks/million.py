"""A million recorded solutions, from files to a published version: `make bench NAME=million` (STEPFORGE_TEST_DATA).

Real GSM8K problems with 134 solutions each, written from their reference solutions: words and numbers are changed, so
that about half of the answers are wrong and a fifth of the texts repeat another. The recipe runs once over 100,000 and
once over 1,000,000 of them, in a process of its own, in eight shards on two workers. Printed are the time of each
stage, its growth, and the most memory that all processes held together. `growth_10x` is of wall time, which other work
on the machine disturbs; `growth_10x_cpu` is of CPU seconds. Writes build/bench/million.json.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import psutil
import yaml

DATA = Path(os.environ.get("STEPFORGE_TEST_DATA", ""))
SAMPLES = 134
WORDS = {"altogether": "in total", "total": "sum", "then": "next", "each": "every", "has": "owns", "got": "received",
         "bought": "purchased", "will": "is going to", "cost": "price", "spent": "paid", "more": "further",
         "made": "earned", "so": "therefore", "needs": "requires", "there": "here", "left": "remaining"}
NUMBER = re.compile(r"(?<![\d.])\d+(?![\d.])")
WORD = re.compile(r"[A-Za-z]+")


class Run(NamedTuple):
    """One run: solutions, seconds by stage, seconds and CPU seconds of the whole, and its peak memory in bytes."""

    rows: int
    stages: dict[str, float]
    accounts: dict[str, Any]
    wall: float
    cpu: float
    peak: int


def problems() -> list[dict[str, str]]:
    with (DATA / "gsm8k_train.jsonl").open("rb") as lines:
        return [orjson.loads(line) for line in lines]


def solutions(problem: dict[str, str], number: int) -> list[str]:
    """Variants of a reference solution; the same problem always gets the same."""
    draw = random.Random(number)
    worked, _, answer = problem["answer"].rpartition("####")
    return [_variant(draw, f"{worked.strip()}\nThe answer is {answer.strip()}") for _ in range(SAMPLES)]


def _variant(draw: random.Random, text: str) -> str:
    kept = draw.random()
    text = WORD.sub(lambda m: WORDS.get(m[0], m[0]) if draw.random() < kept else m[0], text)
    if draw.random() < 0.5:
        lines = text.split("\n")
        place = draw.randrange(len(lines))
        lines[place] = NUMBER.sub(lambda m: str(int(m[0]) + draw.randint(1, 9)), lines[place])
        if place != len(lines) - 1:
            lines[-1] = NUMBER.sub(lambda m: str(int(m[0]) + draw.randint(0, 3)), lines[-1])
        text = "\n".join(lines)
    return text


def write_inputs(folder: Path, rows: int) -> int:
    """The problems and the files of recorded solutions; returns how many solutions there are."""
    chosen = problems()[: -(-rows // SAMPLES)]
    written = 0
    with (folder / "problems.jsonl").open("wb") as problems_file, (folder / "samples.jsonl").open("wb") as recorded:
        for number, problem in enumerate(chosen):
            problems_file.write(orjson.dumps(problem) + b"\n")
            texts = solutions(problem, number)[: rows - written]
            written += len(texts)
            recorded.write(orjson.dumps({"question": problem["question"], "outputs": texts}) + b"\n")
    return written


def recipe(folder: Path) -> dict[str, Any]:
    return {
        "name": "million", "problems": [{"source": "gsm8k", "path": str(folder / "problems.jsonl")}],
        "generators": [{"name": "recorded", "engine": "recorded", "paths": [str(folder / "samples.jsonl")],
                        "columns": {"problem": "question", "solutions": "outputs"}}],
        "deduplicate": {"by": "text"},
        "release": {"configs": ["positives", "negatives", "unpaired", "pairs", "solutions", "problems"],
                    "to": f"local:{folder / 'published'}", "splits": {"test": 0.05}},
        "executor": {"tasks": 8, "workers": 2, "duckdb_memory": "1GiB"},
    }


def measure(folder: Path, rows: int) -> Run:
    rows = write_inputs(folder, rows)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(folder)))
    command = [sys.executable, "-m", "stepforge.pipelines.cli", "run", str(folder / "recipe.yaml"), "--out",
               str(folder)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watched = Watched(process)
    watched.start()
    code = process.wait()
    watched.join()
    if code:
        raise SystemExit(f"the run over {rows:,} solutions ended with code {code}")
    accounts = json.loads((folder / "million" / "state.json").read_bytes())
    return Run(rows, {name: account["seconds"] for name, account in accounts.items()}, accounts,
               time.monotonic() - started, sum(watched.cpu.values()), watched.peak)


class Watched(threading.Thread):
    """Memory and CPU seconds of a process and all that it started, looked at five times a second."""

    def __init__(self, process: subprocess.Popen) -> None:
        super().__init__()
        self.process = process
        self.peak = 0
        self.cpu: dict[int, float] = {}

    def run(self) -> None:
        root = psutil.Process(self.process.pid)
        while self.process.poll() is None:
            self.peak = max(self.peak, sum(self._look(root)))
            time.sleep(0.2)

    def _look(self, root: psutil.Process) -> Iterator[int]:
        """Memory of each process; a fork server's children are not this process's, so their CPU is noted here."""
        try:
            for process in [root, *root.children(recursive=True)]:
                times = process.cpu_times()
                self.cpu[process.pid] = times.user + times.system
                yield process.memory_info().rss
        except psutil.NoSuchProcess:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    if not (DATA / "gsm8k_train.jsonl").is_file():
        raise SystemExit("set STEPFORGE_TEST_DATA to the folder that holds gsm8k_train.jsonl")
    runs = []
    for rows in arguments.rows:
        folder = Path(tempfile.mkdtemp(prefix="stepforge-million-"))
        try:
            runs.append(measure(folder, rows))
        finally:
            shutil.rmtree(folder)
    print_and_save(runs)


def print_and_save(runs: list[Run]) -> None:
    first, last = runs[0], runs[-1]
    print(f"{'stage':14}" + "".join(f"{run.rows:>14,}" for run in runs) + f"{'growth':>9}{'rows out':>12}  dropped")
    for stage, seconds in last.stages.items():
        account = last.accounts[stage]
        print(f"{stage:14}" + "".join(f"{run.stages[stage]:12.1f} s" for run in runs)
              + f"{seconds / max(first.stages[stage], 0.1):9.1f}{account['rows_out']:12,}  {account['dropped']}")
    for label, numbers in (("wall", [run.wall for run in runs]), ("CPU", [run.cpu for run in runs])):
        print(f"{label:14}" + "".join(f"{number:12.1f} s" for number in numbers) + f"{numbers[-1] / numbers[0]:9.1f}")
    print(f"{'peak memory':14}" + "".join(f"{run.peak / 2**30:10.2f} GiB" for run in runs))
    result = {"growth_10x": last.wall / first.wall, "growth_10x_cpu": last.cpu / first.cpu,
              "peak_gib": last.peak / 2**30, "rows": [run.rows for run in runs],
              "seconds": {run.rows: run.stages for run in runs}}
    path = Path("build/bench/million.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
