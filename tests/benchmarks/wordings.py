"""What it is worth that wordings of one computation inform each other: `make bench NAME=wordings`.

In the two headline worlds of search.py with wordings (_wordings.py), apart by a spread of 0, 0.05 and 0.15, a pilot of
16 problems teaches the chain model as a run does; the fit decides whether wordings share, and how far apart they are.
Then the same fresh problems are searched twice, with and without. One line for each search as a run stops it, and the
tokens at which the curve with sharing reaches the error that the curve without has at its end, over the tokens there
(`ratio_advantage`; above 1 it does harm). Writes build/bench/wordings.json; SEEDS=1 PROBLEMS=12 before it for a quick
look.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from _parts import BATCH, HEADLINE
from _searches import Row, Score, adaptive, as_run, finish, pooled, tokens_for, typical_length
from _wordings import draw_wordings, in_text_alone, repeated
from _world import BASE, EPS, WORLDS, Problem
from search import show

from stepforge.pipelines.credit import fit, lengths
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.lengths import Seen
from stepforge.pipelines.credit.search import SearchSettings

SPREADS, PILOT = (0.0, 0.05, 0.15), 16
KEPT = 6     # points of the curve: it ends where a run would


def taught(pilot: Sequence[Problem]) -> tuple[Chain, dict[str, Any]]:
    """The model of a pilot, as annotate makes it, and what the fit says."""
    known, seen, settings = [], list[Seen](), SearchSettings(typical_length=typical_length(pilot))
    for problem in pilot:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, BATCH)
        known.append([*search.history, search.evidence()])
        seen += search.lengths()
    chain, record = fit.choose(known, EPS)
    assert chain is not None, record
    return replace(chain, lengths=lengths.fit(seen, typical_length(pilot))), record


def compared(name: str, spread: float, size: int, seeds: int) -> dict[str, Any]:
    runs: dict[str, list[Score]] = {"text": [], "computations": []}
    curves: dict[str, list[list[Score]]] = {"text": [], "computations": []}
    chosen, share = [], 0.0
    for seed in range(seeds):
        pilot = draw_wordings(WORLDS[name], PILOT, 8, 500 + seed, spread)
        test = draw_wordings(WORLDS[name], size, 8, seed, spread)
        share += repeated(test) / seeds
        for key, seen in (("computations", lambda p: p), ("text", in_text_alone)):
            chain, record = taught(list(map(seen, pilot)))
            chosen += [(chain.spread, record["sharing"])] if key == "computations" else []
            runs[key].append(as_run(list(map(seen, test)), chain, BATCH))
            curves[key].append(adaptive(list(map(seen, test)), chain, "values", BATCH)[:KEPT])
    rows: dict[str, list[Row]] = {key: [pooled(list(points)).row() for points in zip(*parts, strict=True)]
                                  for key, parts in curves.items()}
    end = rows["text"][-1]
    tokens = tokens_for(rows["computations"], "error", end["error"])
    table = {f"{key}, as run": pooled(scores).row() for key, scores in runs.items()}
    table |= {f"{key}, point {i}": row for key, points in rows.items() for i, row in enumerate(points)}
    facts = {"ratio_advantage": None if tokens is None else tokens / end["tokens"], "repeated": share}
    show(f"{name}, spread {spread}", table, facts)
    print(f"chosen (spread, nats gained): {chosen}", flush=True)
    return {**facts, "chosen": chosen, "table": table}


def main() -> None:
    began, size, seeds = time.monotonic(), int(os.environ.get("PROBLEMS", "40")), int(os.environ.get("SEEDS", "4"))
    report: dict[str, Any] = {"problems": size, "seeds": seeds}
    for spread in SPREADS:
        for name in HEADLINE:
            report[f"{name} {spread}"] = compared(name, spread, size, seeds)
    report["seconds"] = time.monotonic() - began
    Path("build/bench/wordings.json").write_text(json.dumps(report, indent=1).replace("NaN", "null"))


if __name__ == "__main__":
    main()
