"""What the equation check alone finds on solutions with a marked first wrong step: `make bench NAME=processbench`.

Needs STEPFORGE_TEST_DATA. Every solution of processbench_gsm8k.json comes split in steps, with the index of the first
wrong one (-1: none) and whether its final answer is right. Numbers are counts, because the interesting rows are few.
Writes build/bench/processbench.json.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from stepforge.pipelines.answers import equations, first_false_step


def count(solutions: list[dict[str, Any]]) -> dict[str, int]:
    """Counts over all solutions, and over the few with a right answer above a wrong step."""
    pairs = [(first_false_step(solution["steps"]), solution["label"]) for solution in solutions]
    lucky = [first_false_step(solution["steps"]) for solution in solutions
             if solution["final_answer_correct"] and solution["label"] >= 0]
    checked = [equation for solution in solutions for step in solution["steps"] for equation in equations(step)]
    return {
        "solutions": len(solutions),
        "with_a_wrong_step": sum(label >= 0 for _, label in pairs),
        "flagged": sum(step is not None for step, _ in pairs),
        "flagged_at_the_first_wrong_step": sum(step is not None and step == label for step, label in pairs),
        "flagged_at_another_step_of_a_wrong_solution": sum(step is not None and step != label >= 0 for step,
                                                           label in pairs),
        "flagged_although_nothing_is_wrong": sum(step is not None and label < 0 for step, label in pairs),
        "right_answer_with_a_wrong_step": len(lucky),
        "of_these_flagged": sum(step is not None for step in lucky),
        "equations": len(checked),
        "equations_false": sum(equation.holds is False for equation in checked),
        "equations_undecided": sum(equation.holds is None for equation in checked),
    }


def main() -> None:
    path = Path(os.environ.get("STEPFORGE_TEST_DATA", "")) / "processbench_gsm8k.json"
    if not path.is_file():
        sys.exit("STEPFORGE_TEST_DATA does not name a folder with processbench_gsm8k.json; set it and run again")
    solutions = json.loads(path.read_text(encoding="utf-8"))
    before = resource.getrusage(resource.RUSAGE_SELF)
    report: dict[str, Any] = count(solutions)
    after = resource.getrusage(resource.RUSAGE_SELF)
    report["precision"] = report["flagged_at_the_first_wrong_step"] / max(1, report["flagged"])
    report["recall"] = report["flagged_at_the_first_wrong_step"] / max(1, report["with_a_wrong_step"])
    report["solutions_per_cpu_second"] = len(solutions) / max(1e-6, after.ru_utime - before.ru_utime)
    for name, value in report.items():
        print(f"{name:45} {value:10.3f}" if isinstance(value, float) else f"{name:45} {value:10}")
    target = Path("build/bench/processbench.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
