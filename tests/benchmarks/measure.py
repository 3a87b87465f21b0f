"""Deduplication, coverage and diversity of a million solutions: the product's SQL beside pandas and polars.

    make bench NAME=measure

All sides read the same Parquet file of samples with their keys (_repetition.py), write the duplicates to a Parquet
file, and give coverage and diversity with their spread for every generator and k; the numbers must be the same.
Ratios are the median over rounds, in which the sides take turns. Then ten million solutions in a process of their own,
with DuckDB held to 2 GiB and 2 threads, beside a million in such a process: how the time grows, and the peak of the
process's memory. Near-duplicates are timed apart, on a hundred thousand solutions with their texts, beside exact ones
alone. Writes build/bench/measure.json.
"""

import json
import math
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from _frames import Chance, Curves, pandas_at_once, with_pandas, with_polars
from _repetition import SAMPLES, write_samples

from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import DUPLICATES
from stepforge.pipelines.stages.deduplicate import add_near, find_duplicates
from stepforge.pipelines.stages.measure import ladder
from stepforge.pipelines.stages.measure.curves import count_classes, curve_rows
from stepforge.pipelines.statistics.subsets import hit

PROBLEMS = 10_000
KS = tuple(ladder(SAMPLES))
ROUNDS = 3
NEAR_PROBLEMS, NEAR = 1000, {"keep": "first", "near": 0.8, "ngram": 5}
MEMORY, THREADS = "2GiB", 2
ONE_GROUP = """CREATE TEMP TABLE grouping AS SELECT DISTINCT problem_id, 'all' AS "by", 'all' AS "group" FROM sample"""


def with_sql(samples: Path, duplicates: Path) -> Curves:
    """What the stages deduplicate and measure run."""
    with open_duckdb(MEMORY, samples.parent / "spill", {"sample": samples}, THREADS) as connection:
        find_duplicates(connection, {"by": "equations", "keep": "first"}, duplicates)
        connection.execute(ONE_GROUP)
        return {(row["generator"], row["measure"], row["k"]): (row["value"], row["high"])
                for row in curve_rows(*count_classes(connection, KS), KS)}


def chances() -> Chance:
    """For each k a table of the probability that k of n samples meet a class of so many members."""
    tables = {k: np.zeros((SAMPLES + 1, SAMPLES + 1)) for k in KS}
    for k, table in tables.items():
        for n in range(k, SAMPLES + 1):
            table[n, : n + 1] = [hit(n, members, k) for members in range(n + 1)]
    return tables


def race(samples: Path, folder: Path) -> dict[str, float]:
    """Seconds of every side, the ratios, and proof that the sides agree."""
    chance = chances()
    sides: dict[str, Callable[[], Curves]] = {
        "stepforge": lambda: with_sql(samples, folder / "stepforge.parquet"),
        "pandas": lambda: with_pandas(samples, folder / "pandas.parquet", chance),
        "pandas_at_once": lambda: pandas_at_once(samples, folder / "pandas_at_once.parquet", chance),
        "polars": lambda: with_polars(samples, folder / "polars.parquet", chance),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        results = {}
        for name, side in sides.items():
            started = time.perf_counter()
            results[name] = side()
            seconds[name].append(time.perf_counter() - started)
    for other in ("pandas", "pandas_at_once", "polars"):
        same_duplicates(folder / "stepforge.parquet", folder / f"{other}.parquet")
        same_numbers(results["stepforge"], results[other])
    ratios = {f"ratio_{name}": median(theirs / ours for theirs, ours in zip(spent, seconds["stepforge"], strict=True))
              for name, spent in seconds.items() if name != "stepforge"}
    return {f"seconds_{name}": median(spent) for name, spent in seconds.items()} | ratios


def same_duplicates(ours: Path, theirs: Path) -> None:
    columns = DUPLICATES.schema.names
    one, other = (pq.read_table(path, columns=columns).to_pydict() for path in (ours, theirs))
    if [list(one[name]) for name in columns] != [list(other[name]) for name in columns]:
        raise SystemExit(f"{ours} and {theirs} hold different duplicates")


def same_numbers(ours: Curves, theirs: Curves) -> None:
    for key in ours.keys() | theirs.keys():
        if not math.isclose(ours[key][0], theirs[key][0], rel_tol=1e-9):
            raise SystemExit(f"{key}: {ours[key][0]} here, {theirs[key][0]} there")


def alone(samples: Path) -> dict[str, float]:
    """`with_sql` in a process of its own: seconds, and the peak of its memory in GiB."""
    done = subprocess.run([sys.executable, __file__, str(samples)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def grow(folder: Path, small: Path) -> dict[str, float]:
    large = folder / "samples_10m.parquet"
    write_samples(large, 10 * PROBLEMS)
    few, many = median(alone(small)["seconds"] for _ in range(ROUNDS)), alone(large)
    return {"seconds_1m": few, "seconds_10m": many["seconds"], "growth_10x": many["seconds"] / few,
            "peak_gib_10m": many["peak_gib"]}


def near_duplicates(folder: Path) -> dict[str, float]:
    """Seconds of exact deduplication and of near-duplicates behind it; which share is removed by then."""
    samples, exact, both = (folder / f"{name}.parquet" for name in ("samples_100k", "exact", "both"))
    write_samples(samples, NEAR_PROBLEMS, texts=True)
    with open_duckdb(MEMORY, folder / "spill", {"made": samples}, THREADS) as connection:
        connection.execute("CREATE VIEW sample AS SELECT * EXCLUDE (solution) FROM made")
        connection.execute("CREATE VIEW solutions AS SELECT solution_id, problem_id, complete, solution FROM made")
        started = time.perf_counter()
        first = find_duplicates(connection, {"by": "equations", "keep": "first"}, exact)
        between = time.perf_counter()
        all_of_them = add_near(connection, NEAR, exact, both)
        ended = time.perf_counter()
    rows = NEAR_PROBLEMS * SAMPLES
    return {"seconds_exact_100k": between - started, "seconds_near_100k": ended - between,
            "removed_exact": first / rows, "removed_near": all_of_them / rows}


def main() -> None:
    folder = Path("build/bench/measure")
    samples = folder / "samples_1m.parquet"
    try:
        write_samples(samples, PROBLEMS)
        facts = race(samples, folder)
        print(f"{'a million solutions':24}{'seconds':>10}{'ratio':>8}")
        for name in ("stepforge", "pandas", "pandas_at_once", "polars"):
            print(f"{name:24}{facts[f'seconds_{name}']:10.2f}{facts.get(f'ratio_{name}', 1.0):8.2f}")
        facts |= grow(folder, samples)
        facts |= near_duplicates(folder)
        print(f"{'near, 100,000':24}{facts['seconds_near_100k']:10.2f}  beside {facts['seconds_exact_100k']:.2f} for "
              f"exact ones; removed {facts['removed_exact']:.1%} and then {facts['removed_near']:.1%} in all")
        print(f"{'ten million, 2 GiB':24}{facts['seconds_10m']:10.2f}  {facts['growth_10x']:.1f} times a million, "
              f"peak {facts['peak_gib_10m']:.2f} GiB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Path("build/bench/measure.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        started = time.perf_counter()
        with_sql(Path(sys.argv[1]), Path(sys.argv[1]).with_suffix(".duplicates"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps({"seconds": time.perf_counter() - started, "peak_gib": peak}))
    else:
        main()
