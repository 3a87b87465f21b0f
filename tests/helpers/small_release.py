"""A release small enough to check by eye.

Problem p has a correct solution c ("a\\nb\\n7"), a twin of it, and an incorrect one w ("a\\nx\\n8"), lost at step 1.
"""


import pyarrow as pa

from stepforge.builders.tables import TABLES
from stepforge.pipelines.credit.advantages import clopper_pearson
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.stages.build import LAID_OUT

PROMPTS = pa.schema([pa.field(n, pa.string()) for n in ("generator", "problem_id", "prompt", "split")])
PROMPT = {"generator": "g", "problem_id": "p", "prompt": "P?\n", "split": "train"}
OPTIONS = ReleaseOptions().model_dump(exclude=LAID_OUT) | {
    "seed": "0", "policy": "g", "best_of": 1, "rl_prompt": "g", "least_pass_rate": None, "most_pass_rate": None}
TEXT = {"c": "a\nb\n7", "twin": "a\nb\n7", "w": "a\nx\n8", "cut": "a\nx", "odd": "?"}
VERDICT = {"c": "correct", "twin": "correct", "w": "incorrect", "cut": "incorrect", "odd": "undecided"}


def filled(table, **values):
    return {name: values.get(name) for name in TABLES[table].schema.names}


def steps_of(solution_id, successes):
    """Rows of `steps`, 4 rollouts each, V of the bare problem 0.5; the last step is worth its verdict."""
    before, start = 0.5, 0
    for index, (text, won) in enumerate(zip(TEXT[solution_id].splitlines(keepends=True), successes, strict=True)):
        q = float(solution_id == "c") if won is None else won / 4
        low, high = (q, q) if won is None else clopper_pearson(won, 4)
        yield filled("steps", solution_id=solution_id, problem_id="p", step_index=index, step=text, start=start,
                     end=start + len(text), splitter="newline", rollouts=0 if won is None else 4,
                     successes=won or 0, q=q, q_low=low, q_high=high, advantage=q - before, estimator="fixed_n",
                     passing_rollouts=0, passing_successes=0,
                     is_pit=solution_id == "w" and index == 1,
                     fall_low=0.5 if solution_id == "w" and index == 1 else None)
        before, start = q, start + len(text)


def tables():
    return {
        "problems": [filled("problems", problem_id="p", problem="P?", answer="7", source="files", source_id="1",
                            split="train", group_id="g", license="MIT")],
        "solutions": [filled("solutions", solution_id=i, problem_id="p", generator="g", generator_id="gid",
                             sample_index=n, solution=text, finish_reason="stop", complete=i != "cut")
                      for n, (i, text) in enumerate(TEXT.items())],
        "verdicts": [filled("verdicts", solution_id=i, verdict=v, method="numeric", soundness="undecided")
                     for i, v in VERDICT.items()],
        "judgements": [],
        "steps": [*steps_of("c", [4, 4, None]), *steps_of("w", [3, 0, None])],
        "duplicates": [{"solution_id": "twin", "survivor_id": "c", "reason": "text"}],
        "rollouts": [filled("rollouts", rollout_id="r", problem_id="p", step_index=0, index=0, policy="gid",
                            origin="prefix", token_exact=True, seed=1, passed=0, completion="b\n7",
                            finish_reason="stop", verdict="correct")],
        "alternatives": [filled("alternatives", alternative_id=step, problem_id="p", solution_id="w", step_index=1,
                                step=step, complete=False, taken_from="r", sound=True, rollouts=4,
                                successes=int(4 * q), q=q)
                         for step, q in (("b\n", 1.0), ("bb\n", 0.5))],
    }


def with_more(successes=(4, 2, None), **texts):
    """The tables with the steps of c valued anew, and further incorrect solutions that nobody annotated."""
    def changed():
        rows = tables()
        rows["steps"] = [*steps_of("c", list(successes)), *steps_of("w", [3, 0, None])]
        for number, (name, text) in enumerate(texts.items()):
            rows["solutions"].append(filled("solutions", solution_id=name, problem_id="p", generator="g",
                                            generator_id="gid", sample_index=9 + number, solution=text,
                                            finish_reason="stop", complete=True))
            rows["verdicts"].append(filled("verdicts", solution_id=name, method="numeric", soundness="undecided",
                                           verdict="correct" if text.endswith("7") else "incorrect"))
        return rows

    return changed
