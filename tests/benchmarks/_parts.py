"""One world at one seed, met by all strategies: the part of `make bench NAME=search` that one process measures.

In: the name of a world, how many problems, a seed. Out: for each strategy a `Score` or a curve of them. A part is kept
in build/bench/search, named after what it measures and a hash of the code that did, so that an interrupted benchmark
resumes, further seeds add to the stored ones, and a part that other code measured is never read. Other benchmarks of
searches keep parts of their own in the same way.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import Amcs, Omega, oracle
from _searches import Score, adaptive, as_run, decoded, fitted, fitted_on_pilot, plain, pooled
from _world import WORLDS, draw, judged, recovers

from stepforge.pipelines import credit
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.annotate.problem import ADAPTIVE_BATCH as BATCH

PILOT = Annotate.model_fields["pilot"].default
JUDGES = {"judge": (0.70, 0.93), "good_judge": (0.85, 0.97)}
HEADLINE = ("martingale", "other_writer")
BASE_RATES = {"easy": 0.9, "hard": 0.05}
FOLDER = Path("build/bench/search")
CODE = [*sorted(Path(credit.__path__[0]).glob("*.py")),
        *(Path(__file__).with_name(f"{name}.py") for name in ("_world", "_searches", "_baselines", "_parts"))]
HASH = hashlib.sha256(b"".join(path.read_bytes() for path in CODE) + f"{PILOT} {BATCH}".encode())


@dataclass
class Part:
    """What one world at one or several seeds gave; seeds pool by joining the problems of each score."""

    single: dict[str, Score]                 # one point
    curves: dict[str, list[Score]]           # a point for each level
    facts: list[dict[str, float]]            # of each negative
    seconds: float

    @classmethod
    def joined(cls, parts: Sequence["Part"]) -> "Part":
        first = parts[0]
        return cls({key: pooled([part.single[key] for part in parts]) for key in first.single},
                   {key: [pooled([part.curves[key][i] for part in parts]) for i in range(len(points))]
                    for key, points in first.curves.items()},
                   [fact for part in parts for fact in part.facts], sum(part.seconds for part in parts))

    def record(self) -> dict[str, Any]:
        return {"single": {key: score.problems for key, score in self.single.items()},
                "curves": {key: [score.problems for score in points] for key, points in self.curves.items()},
                "facts": self.facts, "seconds": self.seconds}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Part":
        return cls({key: Score(problems) for key, problems in record["single"].items()},
                   {key: [Score(problems) for problems in points] for key, points in record["curves"].items()},
                   record["facts"], record["seconds"])


def measured(name: str, size: int, seed: int) -> Part:
    """All strategies in one world at one seed."""
    began, rate = time.monotonic(), BASE_RATES.get(name)
    train = draw(WORLDS[name], size, 8, 100 + seed, rate)
    test = draw(WORLDS[name], size, 8, seed, rate)
    chain, pilot = fitted(train), fitted_on_pilot(draw(WORLDS[name], PILOT, 8, 200 + seed, rate))
    single = {f"exhaustive-{n}": plain("exhaustive", test, n) for n in (8, 16, 32)}
    single |= {f"exhaustive-{n} decoded": decoded(test, n, chain) for n in (8, 16, 32)}
    single["exhaustive-16 decoded by the pilot's fit"] = decoded(test, 16, pilot)
    single |= {f"{plan}-{n}": plain(plan, test, n) for plan in ("scan", "bisect") for n in (4, 8, 16)}
    single |= {"omega": plain(Omega, test, 8), "amcs": plain(Amcs, test, 16)}
    single |= {"adaptive as run": as_run(test, pilot, BATCH), "adaptive as run, no fit": as_run(test, None, BATCH)}
    curves = {"pits": adaptive(test, chain, "pit", BATCH), "values": adaptive(test, chain, "values", BATCH)}
    if name in HEADLINE:
        curves["oracle"] = oracle(test, chain)
        for judge, (sensitivity, specificity) in JUDGES.items():
            read = judged(test, sensitivity, specificity, 300 + seed)
            model = fitted(judged(train, sensitivity, specificity, 400 + seed))
            curves |= {f"pits, {judge}": adaptive(read, model, "pit", BATCH),
                       f"values, {judge}": adaptive(read, model, "values", BATCH)}
    facts = [{"recovers": float(recovers(q, problem.eps)), "base_rate": float(q[0]), "steps": float(len(q) - 1),
              "change": float(np.abs(np.diff(q)).sum())} for problem in test for q in problem.q]
    return Part(single, curves, facts, time.monotonic() - began)


Measure = Callable[[str, int, int], Part]     # of the name of a world, how many problems, a seed


def parts(names: Sequence[str], size: int, seeds: Sequence[int], workers: int, measure: Measure = measured,
          more_code: Sequence[Path] = ()) -> Iterator[tuple[str, Part]]:
    """For each world that is complete the joined part; those that are not on disk are measured, a process for each.

    `more_code`: what `measure` depends on beside CODE.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")           # the arrays are small
    FOLDER.mkdir(parents=True, exist_ok=True)
    code = HASH.copy()
    code.update(b"".join(path.read_bytes() for path in more_code))
    paths = {(name, size, seed): FOLDER / f"{name}-{size}-{seed}-{code.hexdigest()[:12]}.json"
             for seed in seeds for name in names}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running = {pool.submit(_measure, measure, job, path): job for job, path in paths.items() if not path.exists()}
        for done in as_completed(running):
            print(f"{running[done]} took {done.result():.0f} s", file=sys.stderr, flush=True)
    for name in names:
        yield name, Part.joined([Part.of(json.loads(paths[name, size, seed].read_text())) for seed in seeds])


def _measure(measure: Measure, job: tuple[str, int, int], path: Path) -> float:
    part, whole = measure(*job), path.with_suffix(".new")
    whole.write_text(json.dumps(part.record()))
    whole.replace(path)
    return part.seconds
