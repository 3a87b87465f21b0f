"""Hostile releases: a sound one, changed by a seed, through check, diff, versions and open_release.

Workers take turns of cases, each under a deadline and in a process of its own, so that a crash and the memory of a
worker are seen. A case is a fault where anything but an answer or a one-line error comes out, where text of the
release steers the terminal, or where the deadline passes. Arguments: number of cases (5,000), first seed (0),
workers (1). Writes build/bench/hostile_releases.json; the keys `tracebacks` and `hangs` must be 0.
`polars_panics` counts releases in which a data page lies, so that polars panics when a user collects the rows;
`stepforge check` reports such a file.
"""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.hostile_releases import attempt, mutate  # noqa: E402
from helpers.releases import write_small  # noqa: E402

DEADLINE_S = 120
ENDS = ("said", "refused", "panicked")
TURN = 500  # cases of one worker process
ONLY = ("positives", "step_pairs", "stepwise", "solutions")


def main(cases: int = 5000, first: int = 0, workers: int = 1) -> dict:
    started, waiting, running, results = time.monotonic(), list(range(first, first + cases, TURN)), [], []
    while waiting or running:
        while waiting and len(running) < workers:
            seed, output = waiting.pop(0), tempfile.TemporaryFile("w+")  # a full pipe would stop all but the first
            running.append((seed, output, subprocess.Popen([sys.executable, __file__, "--turn", str(seed), str(
                min(TURN, first + cases - seed))], stdout=output, text=True)))
        seed, output, process = running.pop(0)
        process.wait()
        output.seek(0)
        lines = output.read().splitlines()
        results += [json.loads(line) for line in lines]
        if process.returncode:
            results.append({"seed": seed + len(lines), "did": "the worker died", "died": process.returncode})
        wrong = sum(bool(case.get("fault") or case.get("died")) for case in results)
        sys.stderr.write(f"{len(results):,} of {cases:,} cases, {wrong} faults\n")
    faults = [case for case in results if case.get("fault") or case.get("died")]
    result = {
        "cases": len(results), "tracebacks": sum(not case.get("hang") for case in faults),
        "hangs": sum(bool(case.get("hang")) for case in faults),
        "polars_panics": sum("panicked" in case.get("ends", {}).values() for case in results),
        "peak_mib": max(case.get("peak_mib", 0) for case in results),
        "slowest_s": max(case.get("seconds", 0) for case in results),
        "outcomes": Counter(f"{reader}: {end}" for case in results for reader, end in case.get("ends", {}).items()),
        "faults": faults, "seconds": round(time.monotonic() - started)}
    out = Path("build/bench/hostile_releases.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    for key in ("cases", "tracebacks", "hangs", "polars_panics", "peak_mib", "slowest_s", "seconds"):
        print(f"{key:<12}{result[key]}")
    for name, count in sorted(result["outcomes"].items()):
        print(f"  {name:<32}{count:,}")
    for case in faults[:20]:
        print(json.dumps(case)[:1500])
    return result


def turn(first: int, cases: int) -> None:
    """One worker: a line of JSON for each case."""
    signal.signal(signal.SIGALRM, _late)
    with tempfile.TemporaryDirectory() as scratch:
        sound = write_small(Path(scratch) / "sound", range(12), only=ONLY)
        for seed in range(first, first + cases):
            place = Path(scratch) / f"case-{seed}"
            for version in ("v1.0.0", "v2.0.0"):
                shutil.copytree(sound, place / version)
            did = mutate(place / "v2.0.0", random.Random(f"hostile {seed}"))
            case = {"seed": seed, "did": did} | _tried(place)
            case["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps(case), flush=True)
            shutil.rmtree(place)


def _tried(place: Path) -> dict:
    started = time.monotonic()
    signal.alarm(DEADLINE_S)
    try:
        ends = attempt(place)
    except TimeoutError:
        return {"hang": True, "fault": "no end", "seconds": DEADLINE_S}
    finally:
        signal.alarm(0)
    known = {reader: end if end in ENDS else "fault" for reader, end in ends.items()}
    fault = {reader: end for reader, end in ends.items() if end not in ENDS}
    return {"ends": known, "fault": fault, "seconds": round(time.monotonic() - started, 2)}


def _late(*_: object) -> None:
    raise TimeoutError


if __name__ == "__main__":
    if sys.argv[1:2] == ["--turn"]:
        turn(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
