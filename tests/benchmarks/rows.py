"""What a release says of steps, against exact values: labels, values and pits of `stepwise`, by search.

    make bench NAME=rows        (about a minute of CPU on one thread; writes build/bench/rows.json)

PROBLEMS is the number of problems of each world, WORLDS which of them.

The worlds are those of the search benchmark (_world.py), where the Q of every step is known. Annotate's own code
spends the rollouts and writes the rows of `steps`, and the statements of a release make `stepwise` of them. The last
step, whose value is the verdict, does not count. Columns, for each search:

- measured: share of steps with rollouts whose measured value lies on the other side of EPS than exact Q.
- decided: share of wrong labels among those that `evidence` decides (`share_decided`): true where neither this nor a
  later step of the solution has Q above EPS (a rollout succeeded there all the same), false where one has.
- false: share of the false labels where that Q is above `false_below`, the bound under which the label puts it.
- model: as `measured`, of every step, by the values of the model (adaptive alone).
- pits: share of the pits told that are the exact first one (`lost`: after which Q is at most EPS); `told`: pits told
  for each negative. kept: annotated solutions that `stepwise` holds.

Keys are those of the adaptive search, the worse of the first two worlds.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from _searches import fitted_on_pilot
from _world import BASE, EPS, WORLDS, Array, Problem, draw, exact_pit

from stepforge.builders.configs import build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.rollouts import Rolled
from stepforge.pipelines.credit.search import Ask
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.annotate.problem import Problem as Annotated
from stepforge.pipelines.stages.build import PROMPTS, TAILS, options

SEARCHES = ("exhaustive", "scan", "bisect", "adaptive")
PILOT = Annotate.model_fields["pilot"].default
NAMES = ("measured", "decided", "share_decided", "false", "model", "pits", "lost", "told", "kept")
EMPTY = ("judgements", "duplicates", "rollouts", "alternatives")
Row = dict[str, Any]


class Recorded:
    """A policy whose rollouts are those that the world recorded."""

    generator = SimpleNamespace(prompt="plain", model="tiny", read_cost=0.0, engine="recorded")

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    async def roll_out(self, generate: object, problem_id: str, prompt: str, gold: str, starts: Sequence[Any],
                       prefixes: object = None) -> list[Rolled]:
        rows = []
        for start in starts:
            name = "0" if start.solution_id is None else start.solution_id.partition(":")[2]
            outcome, tokens = self.problem.rollout(Ask(name, start.step_index, start.index))
            rows.append(Rolled({"verdict": "correct" if outcome == "success" else "incorrect", "finish_reason": "stop",
                                "reason": None, "completion_tokens": tokens, "completion": "", "rollout_id": ""}, []))
        return rows


def annotated(number: int, problem: Problem, settings: Annotate, chain: Chain | None) -> list[Row]:
    """Rows of `steps` of one problem."""
    solutions = [{"solution_id": f"{number}:{s.solution_id}", "solution": "".join(s.steps), "correct": False,
                  "completion_ids": None, "soundness": None, "first_error": None} for s in problem.solutions]
    row = {"problem_id": str(number), "problem": "", "answer": "", "base_successes": problem.base_successes,
           "base_rollouts": BASE, "pilot": False, "solutions": solutions,
           "typical_length": float(np.mean([len(s["solution"]) for s in solutions]))}
    made = Annotated(row, Recorded(problem), settings, None)  # type: ignore[arg-type]
    return made.step_rows(asyncio.run(made.search(chain)))


def released(problems: Sequence[Problem], steps: list[Row], search: str, folder: Path) -> list[Row]:
    """Rows of `stepwise`."""
    def filled(table: str, **values: object) -> Row:
        return {name: values.get(name) for name in TABLES[table].schema.names}

    texts = {f"{i}:{s.solution_id}": "".join(s.steps) for i, p in enumerate(problems) for s in p.solutions}
    tables = {
        "problems": [filled("problems", problem_id=str(i), problem="p", answer="1", source="files", source_id=str(i),
                            split="train", group_id=str(i), license="MIT") for i in range(len(problems))],
        "solutions": [filled("solutions", solution_id=name, problem_id=name.partition(":")[0], generator="g",
                             generator_id="g", sample_index=i, solution=text, finish_reason="stop", complete=True)
                      for i, (name, text) in enumerate(texts.items())],
        "verdicts": [filled("verdicts", solution_id=name, verdict="incorrect", method="numeric",
                            soundness="unchecked") for name in texts],
        "steps": steps, **{name: [] for name in EMPTY}}
    for name, rows in tables.items():
        write_rows(folder / f"{name}.parquet", rows, TABLES[name].schema)
    write_rows(folder / "tails.parquet", [], TAILS)
    write_rows(folder / "prompts.parquet", [{"generator": "g", "problem_id": str(i), "prompt": "p", "split": "train"}
                                            for i in range(len(problems))], PROMPTS)
    recipe = Recipe.model_validate({
        "name": "rows", "problems": [{"source": "arithmetic"}], "generators": [{"name": "g", "engine": "embedded"}],
        "annotate": {"policy": "g", "search": search}})
    inputs = {name: folder / f"{name}.parquet" for name in (*tables, "tails", "prompts")}
    build_configs(["stepwise"], inputs, options(recipe), folder / "out", "1GiB")
    return list(read_rows(folder / "out" / "stepwise.parquet"))


def share(hits: Sequence[bool]) -> float:
    return float(np.mean(hits)) if hits else float("nan")


def scored(problems: Sequence[Problem], steps: list[Row], rows: list[Row]) -> dict[str, float]:
    """What the rows say, against exact Q."""
    truth: dict[str, Array] = {f"{i}:{b}": q for i, p in enumerate(problems) for b, q in enumerate(p.q)}
    measured, decided, labels, false, model, pits, lost = ([] for _ in range(7))  # type: ignore[var-annotated]
    bound = ReleaseOptions().false_below
    for row in rows:
        exact = truth[row["solution_id"]][1:-1]
        within = np.maximum.accumulate(exact[::-1])[::-1]
        for q, reached, label, value, rollouts in zip(exact, within, row["labels"], row["values"], row["rollouts"],
                                                      strict=False):
            measured += [(value > EPS) != (q > EPS)] if rollouts else []
            decided.append(label is not None)
            labels += [] if label is None else [label != (reached > EPS)]
            false += [reached > bound] if label is False else []
    for step in steps:
        exact = truth[step["solution_id"]]
        if step["q_model"] is not None and step["step_index"] + 2 < len(exact):
            model.append((step["q_model"] > EPS) != (exact[step["step_index"] + 1] > EPS))
        if step["is_pit"]:
            pits.append(step["step_index"] == exact_pit(exact))
            lost.append(exact[step["step_index"] + 1] <= EPS)
    shares = map(share, (measured, labels, decided, false, model, pits, lost))
    return dict(zip(NAMES, (*shares, len(pits) / len(truth), len(rows) / len(truth)), strict=True))


def main() -> None:
    size, path = int(os.environ.get("PROBLEMS", "20")), Path("build/bench/rows.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"worlds": {}}
    for name in os.environ.get("WORLDS", "martingale other_writer recovers_often").split():
        problems, chain = draw(WORLDS[name], size, 8, 0), fitted_on_pilot(draw(WORLDS[name], PILOT, 8, 200))
        print(f"\nworld {name}\n{'':12}" + "".join(f"{column:>15}" for column in NAMES))
        report["worlds"][name] = table = {}
        for search in SEARCHES:
            settings = Annotate.model_validate({"policy": "g", "search": search, "splitter": "newline"})
            steps = [row for number, problem in enumerate(problems)
                     for row in annotated(number, problem, settings, chain)]
            with tempfile.TemporaryDirectory() as folder:
                table[search] = scored(problems, steps, released(problems, steps, search, Path(folder)))
            print(f"{search:12}" + "".join(f"{table[search][column]:15.3f}" for column in NAMES), flush=True)
    first = [table["adaptive"] for table in list(report["worlds"].values())[:2]]
    report |= {f"label_error_{name}": max(row[name] for row in first) for name in ("measured", "decided", "model")}
    report |= {"pit_precision": min(row["pits"] for row in first),
               "rows_kept_adaptive": min(row["kept"] for row in first)}
    path.write_text(json.dumps(report, indent=1).replace("NaN", "null"))
    print("\n" + "  ".join(f"{key} {value:.3f}" for key, value in report.items() if key != "worlds"))


if __name__ == "__main__":
    main()
