"""Groups of near-duplicate problems: how the time grows to a million problems, and whether pairs are lost.

    make bench NAME=near_problems ARGS="10000 100000 1000000"

Half of the problems come from templates of which one noun is changed, in families of a thousand, and every problem
begins with the same stock sentence: what made a join over shared runs of words quadratic. Each size runs in a process
of its own, held to 2 GiB and 2 threads. `exponent` is of CPU seconds between the two largest sizes. `same_groups_5k`
compares 5,000 such problems, and the GSM8K problems where STEPFORGE_TEST_DATA names them, with the Jaccard index of
all pairs that share a run. Writes build/bench/near_problems.json.
"""

import json
import math
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.builders.sql import open_duckdb
from stepforge.pipelines.stages.problems.grouping import linked, near_pairs

FOLDER = Path("build/bench/near_problems")
NEAR, FAMILY, CHECKED = 0.6, 1000, 5000
STOCK = "read the following problem with care and give the answer as one number in the box below"


def problems(count: int) -> Iterator[str]:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(20_000)]
    template: list[str] = []
    for n in range(count):
        if n % 2:
            yield f"{STOCK} {' '.join(draw.choices(words, k=draw.randint(15, 50)))}"
            continue
        if n % (2 * FAMILY) == 0:
            template = draw.choices(words, k=30)
        changed = list(template)
        changed[draw.choice((5, 17))] = draw.choice(words)
        yield f"{STOCK} {' '.join(changed)}"


def groups(texts: list[str], scratch: Path) -> tuple[dict[str, str], float]:
    """Links between the problems by the product's SQL, and its CPU seconds."""
    names = [f"{n:08d}" for n in range(len(texts))]
    scratch.mkdir(parents=True, exist_ok=True)
    table = pa.table({"problem_id": names, "group_id": names, "problem": texts, "source": ["made"] * len(names)})
    pq.write_table(table, scratch / "seeds.parquet")
    del table
    with open_duckdb("2GiB", scratch / "spill", {"seeds": scratch / "seeds.parquet"}, 2) as connection:
        started = time.process_time()
        grouped = linked(near_pairs(connection, NEAR))
        return grouped, time.process_time() - started


def all_pairs(texts: list[str]) -> dict[str, str]:
    """The same links from the Jaccard index of every pair of problems that share a run of words."""
    sets, holders = [], defaultdict(list)
    for number, text in enumerate(texts):
        words = re.findall(r"[^\W_]+", re.sub(r"\d+([.,]\d+)*", "0", text.lower()))
        sets.append({tuple(words[n:n + 5]) for n in range(max(1, len(words) - 4))})
        for run in sets[-1]:
            holders[run].append(number)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for numbers in holders.values():
        if len(numbers) == len(texts):
            continue  # the stock sentence: it is in all, and no pair is alike by it alone
        for place, one in enumerate(numbers):
            for other in numbers[place + 1:]:
                shared[one, other] += 1
    common = sum(len(numbers) == len(texts) for numbers in holders.values())
    return linked((f"{one:08d}", f"{other:08d}") for (one, other), count in shared.items()
                  if (count + common) / (len(sets[one]) + len(sets[other]) - count - common) >= NEAR)


def same_groups() -> bool:
    checked = [list(problems(CHECKED))]
    if data := os.environ.get("STEPFORGE_TEST_DATA"):
        lines = Path(data, "gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines()
        checked.append([json.loads(line)["question"] for line in lines][:CHECKED])
    return all(groups(texts, FOLDER / "checked")[0] == all_pairs(texts) for texts in checked)


def alone(count: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", str(count)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main(sizes: list[int]) -> None:
    try:
        result: dict[str, object] = {"same_groups_5k": same_groups()}
        print(f"{CHECKED} problems: the same groups as all pairs: {result['same_groups_5k']}")
        print(f"{'problems':>12}{'CPU s':>10}{'peak GiB':>10}{'linked':>12}")
        rows = []
        for size in sizes:
            rows.append(alone(size))
            print(f"{size:12,}{rows[-1]['cpu']:10.1f}{rows[-1]['peak_gib']:10.2f}{rows[-1]['linked']:12,}", flush=True)
        result |= {f"cpu_{size}": row["cpu"] for size, row in zip(sizes, rows, strict=True)}
        if len(sizes) > 1:
            result["exponent"] = math.log(rows[-1]["cpu"] / rows[-2]["cpu"]) / math.log(sizes[-1] / sizes[-2])
            print(f"exponent of the growth {result['exponent']:.2f}")
        result["peak_gib"] = rows[-1]["peak_gib"]
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    Path("build/bench/near_problems.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        size = int(sys.argv[2])
        links, cpu = groups(list(problems(size)), FOLDER / str(size))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps({"cpu": cpu, "peak_gib": peak, "linked": len(links)}))
    else:
        main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
