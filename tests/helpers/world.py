"""A world of two problems whose right rows are known, for tests from an option of a recipe to a published row.

Problem p has the answer 7. `weak` wrote c (correct, its second step costs value), k (correct, never valued), u
(correct, with a false equation), w (incorrect, lost at its second step) and t (cut off); `strong` wrote s (correct,
sound to a judge, its end unknown), v (incorrect, its fall may be chance) and n (incorrect, never valued). d says what
c says. Rollouts after the first step of w end right (r) and wrong (rw). Of problem z nobody but `strong` wrote
anything, and that is incorrect.
"""

from pathlib import Path

import pyarrow as pa

from stepforge.builders.configs import build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.credit.advantages import clopper_pearson
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.build import PROMPTS, TAILS, options

SOLUTIONS = {  # text, verdict, generator
    "c": ("a\nb\n7", "correct", "weak"), "k": ("k\n7", "correct", "weak"), "u": ("2 + 2 = 5\n7", "correct", "weak"),
    "s": ("ssss\nt\n7", "correct", "strong"), "w": ("a\nx\n8", "incorrect", "weak"),
    "v": ("v\ny\n9", "incorrect", "strong"), "n": ("nnnnnnnnnnnn\n9", "incorrect", "strong"),
    "t": ("tt", "incorrect", "weak"), "d": ("a\nb\n7", "correct", "weak"), "zn": ("2", "incorrect", "strong")}
STEPS = {"c": (8, 2, None), "w": (6, 0, None), "v": (3, 0, None)}  # successes of 8, after each step but the last
FALLS = {("w", 1): (True, 0.5), ("v", 1): (False, 0.02)}
RECIPE = {
    "name": "world", "problems": [{"source": "arithmetic"}],
    "generators": [{"name": name, "engine": "embedded", "samples": 2} for name in ("weak", "strong")],
    "annotate": {"policy": "weak", "rollouts": 8, "search": "adaptive"},
    "judge": {"generator": "strong", "annotated": True},
}


def filled(table: str, **values: object) -> dict:
    return {name: values.get(name) for name in TABLES[table].schema.names}


def steps(solution_id: str) -> list[dict]:
    rows, before, start = [], 0.5, 0
    texts = SOLUTIONS[solution_id][0].splitlines(keepends=True)
    for index, (text, won) in enumerate(zip(texts, STEPS[solution_id], strict=True)):
        q = float(solution_id == "c") if won is None else won / 8
        low, high = (q, q) if won is None else clopper_pearson(won, 8)
        is_pit, fall = FALLS.get((solution_id, index), (False, None))
        rows.append(filled(
            "steps", solution_id=solution_id, problem_id="p", step_index=index, step=text, start=start,
            end=start + len(text), splitter="newline", rollouts=0 if won is None else 8, successes=won or 0, q=q,
            q_low=low, q_high=high,
            advantage=q - before, estimator="fixed_n",
            passing_rollouts=0, passing_successes=0, is_pit=is_pit, fall_low=fall, q_model=0.25 * (index + 1),
            advantage_model=q - before if solution_id == "c" else 0.0))
        before, start = q, start + len(text)
    return rows


def tables() -> dict[str, list[dict]]:
    problem_of = {name: "z" if name.startswith("z") else "p" for name in SOLUTIONS}
    return {
        "problems": [filled("problems", problem_id=name, problem=f"{name}?", answer=answer, source="files",
                            level=level, source_id=name, split="train", group_id=name, license="MIT")
                     for name, answer, level in (("p", "7", "easy"), ("z", "1", "hard"))],
        "solutions": [filled("solutions", solution_id=name, problem_id=problem_of[name], generator=generator,
                             generator_id=generator, sample_index=index, solution=text, finish_reason="stop",
                             complete=None if name == "s" else name != "t")
                      for index, (name, (text, _, generator)) in enumerate(SOLUTIONS.items())],
        "verdicts": [filled("verdicts", solution_id=name, verdict=verdict, method="numeric",
                            soundness="unsound" if name == "u" else "unchecked",
                            judged_by="equations" if name == "u" else None)
                     for name, (_, verdict, _) in SOLUTIONS.items()],
        "judgements": [filled("judgements", solution_id="s", soundness="sound", sampled=True, steps=3, votes_sound=1,
                              votes_unsound=0, votes_undecided=0, judge="j", judge_id="j", prompt_tokens=1,
                              completion_tokens=1)],
        "steps": [row for name in STEPS for row in steps(name)],
        "duplicates": [{"solution_id": "d", "survivor_id": "c", "reason": "text"}],
        "rollouts": [filled("rollouts", rollout_id=name, problem_id="p", solution_id="w", step_index=step, index=index,
                            policy="weak", origin="prefix", token_exact=True, seed=1, passed=0, completion=text,
                            finish_reason=reason, verdict=verdict)
                     for index, (name, step, text, reason, verdict) in enumerate([
                         ("r", 0, "q\n7", "stop", "correct"), ("rw", 0, "q\n6", "stop", "incorrect"),
                         ("behind the pit", 1, "q\n6", "stop", "incorrect"), ("cut", 0, "q", "length", "incorrect")])],
        "alternatives": [filled("alternatives", alternative_id=step, problem_id="p", solution_id="w", step_index=1,
                                step=step, complete=False, taken_from="r", sound=sound, rollouts=8, q=q,
                                successes=int(8 * q))
                         for step, q, sound in (("b\n", 0.75, True), ("2 + 2 = 5\n", 1.0, False))],
    }


def write_world(folder: Path) -> dict[str, Path]:
    """The tables as Parquet files, by name."""
    world, paths = tables(), {}
    for name, rows in world.items():
        paths[name] = folder / f"{name}.parquet"
        write_rows(paths[name], rows, TABLES[name].schema)
    prompts = [{"generator": generator, "problem_id": problem, "prompt": f"{generator}: {problem}?\n",
                "split": "train"}
               for generator in ("weak", "strong") for problem in ("p", "z")]
    paths["tails"] = folder / "tails.parquet"
    write_rows(paths["tails"], [{"solution_id": "s", "behind": 2, "runs_on": False}], TAILS)
    paths["prompts"] = folder / "prompts.parquet"
    write_rows(paths["prompts"], prompts, pa.schema(PROMPTS))
    return paths


def published(paths: dict[str, Path], folder: Path, config: str, **release: object) -> list[dict]:
    """Rows of a config under these options of `release`, by their names in a recipe."""
    recipe = Recipe.model_validate(RECIPE | {"release": release})
    build_configs([config], paths, options(recipe), folder, "256MiB")
    return list(read_rows(folder / f"{config}.parquet"))
