"""What evidence beside rollouts is worth on real solutions: `make bench NAME=evidence`. Needs STEPFORGE_TEST_DATA.

processbench_gsm8k.json marks the first wrong step of real solutions. Two things are measured on it: how often the
equations alone stop at that step, and what a search needs with no evidence, with the equations of the text, and with a
judge. No judge that could do it runs here, so the marks stand in for one: each is corrupted at stated rates
(`judged` of _world.py). No policy of these solutions runs here either, so the values are made up: before the marked
step Q is one draw from 0.3 to 0.95 for each solution, from there on one from 0 to 0.03. Lengths and places are real.
A recipe has a real judge by `judge: {generator: NAME, incorrect_per_generator: null}` and
`annotate: {policy: NAME, search: adaptive, evidence: [equations, judge]}`.

The Llama and Mistral samples and processbench_math_400.jsonl have no marked steps, only right or wrong answers: there
it is counted how often equations stop anywhere, and which share of the steps lies behind. That share of an exhaustive
search's rollouts is saved if a false equation is trusted to be the pit. Writes build/bench/evidence.json.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _searches import Row, as_run, fitted_on_pilot, plain, pooled
from _world import BASE, READ, ROLLOUTS, Problem, judged
from search import JUDGES, show

from stepforge.pipelines.answers import first_false_step
from stepforge.pipelines.credit.search import Solution
from stepforge.pipelines.credit.split import split

CHARACTERS = 4      # of a token, about


def marked(solutions: list[dict[str, Any]]) -> list[Problem]:
    """A problem for each solution with a wrong answer and a marked step; the first wrong step is the exact pit."""
    rng, problems_marked = np.random.default_rng(0), []
    for row in solutions:
        steps, label = row["steps"], row["label"]
        if label < 0 or row["final_answer_correct"] or len(steps) < 2:
            continue
        q = np.full(len(steps) + 1, rng.uniform(0.3, 0.95))
        q[label + 1:] = rng.uniform(0, 0.03)
        q[-1] = 0
        tokens = tuple(max(1, len(step) // CHARACTERS) for step in steps)
        solution = Solution("0", tuple(steps), False, tokens, {"equations": first_false_step(steps)})
        outcomes = rng.random((len(steps), ROLLOUTS)) < q[:-1, None]
        rest = np.array([solution.cost_after(step - 1) for step in range(len(steps))])
        cost = np.maximum(1, rest[:, None] * rng.uniform(0.7, 1.3, outcomes.shape)).astype(int)
        problems_marked.append(Problem([solution], [q], int(rng.binomial(BASE, q[0])), [outcomes], [cost]))
    return problems_marked


def without(problem: Problem) -> Problem:
    return replace(problem, solutions=[replace(solution, first_errors={}) for solution in problem.solutions])


def searched(problems: list[Problem]) -> dict[str, Row]:
    """Tokens and pits of each kind of evidence; the chain is fitted on a pilot's search over the other half."""
    bare = list(map(without, problems))
    kinds = {"no evidence": bare, "equations": problems}
    kinds |= {f"judge {sensitivity:.2f} / {specificity:.2f}": judged(bare, sensitivity, specificity, 0)
              for sensitivity, specificity in JUDGES.values()}
    table = {"exhaustive-16": plain("exhaustive", problems, 16).row(), "scan-8": plain("scan", problems, 8).row()}
    for name, taken in kinds.items():
        halves = taken[::2], taken[1::2]
        table[f"adaptive, {name}"] = pooled([as_run(half, fitted_on_pilot(other, 8), 8)
                                             for half, other in (halves, halves[::-1])]).row()
    return {name: {key: row[key] for key in ("tokens", "pit", "error", "rmse")} for name, row in table.items()}


def flagged(solutions: Iterable[list[str]]) -> dict[str, float]:
    """Solutions with a false equation, and the share of all steps that lie behind it or are it."""
    firsts = [(first_false_step(steps), len(steps)) for steps in solutions]
    behind = sum(length - first for first, length in firsts if first is not None)
    return {"solutions": len(firsts), "with_a_false_equation": sum(first is not None for first, _ in firsts),
            "share": sum(first is not None for first, _ in firsts) / max(1, len(firsts)),
            "share_of_steps_saved": behind / max(1, sum(length for _, length in firsts))}


def samples(path: Path) -> Iterator[tuple[bool, list[str]]]:
    """(right answer, steps) of sampled solutions; some labels are text."""
    for line in path.read_text(encoding="utf-8").splitlines():
        for output in json.loads(line)["outputs"]:
            if output["response"].strip():
                yield str(output["label"]).casefold() in ("true", "1"), split("newline", output["response"])


def main() -> None:
    folder = Path(os.environ.get("STEPFORGE_TEST_DATA", ""))
    if not (folder / "processbench_gsm8k.json").is_file():
        sys.exit("STEPFORGE_TEST_DATA does not name a folder with processbench_gsm8k.json; set it and run again")
    solutions = json.loads((folder / "processbench_gsm8k.json").read_text(encoding="utf-8"))
    problems = marked(solutions)
    labels = [(first_false_step(row["steps"]), row["label"]) for row in solutions if not row["final_answer_correct"]]
    report: dict[str, Any] = {"processbench_gsm8k": {
        "wrong_answers": len(labels), "equations_stop": sum(first is not None for first, _ in labels),
        "at_the_marked_step": sum(first == label for first, label in labels if first is not None),
        "before_it": sum(first < label for first, label in labels if first is not None),
        "behind_it": sum(first > label for first, label in labels if first is not None),
        "judge_read_lengths": READ, "searches": searched(problems)}}
    show(f"{len(problems)} solutions with a marked step, values made up", report["processbench_gsm8k"]["searches"], {})
    math = [json.loads(line) for line in (folder / "processbench_math_400.jsonl").read_text("utf-8").splitlines()]
    sets = {"math": [(row["label"], split("blank_line", row["solution"])) for row in math],
            **{name: list(samples(folder / f"samples_gsm8k_10x100_{name}.jsonl")) for name in ("llama7b-2",
                                                                                               "mistral7b")}}
    for name, rows in sets.items():
        report[name] = {verdict: flagged(steps for right, steps in rows if right is (verdict == "right"))
                        for verdict in ("wrong", "right")}
    print(json.dumps({name: part for name, part in report.items() if name != "processbench_gsm8k"}, indent=1))
    print({key: value for key, value in report["processbench_gsm8k"].items() if key != "searches"})
    target = Path("build/bench/evidence.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
