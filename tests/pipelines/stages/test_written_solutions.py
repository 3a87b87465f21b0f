"""Runs over solutions that the tests write: whom the judge reads, what an edit changes, and what steps share."""

import json
from collections import Counter

from helpers.runs import execute, rows

WRITER = {"name": "reader", "engine": "embedded", "prompt": "{{ problem }}\n", "samples": 0, "max_tokens": 32}


def write(folder, samples):
    """A recipe of these samples, rows of problem, answer, solution and generator."""
    (folder / "own.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return {"name": "written", "problems": [{"source": "files", "paths": [str(folder / "own.jsonl")]}],
            "generators": [WRITER, {"name": "own", "engine": "recorded", "paths": [str(folder / "own.jsonl")],
                                    "columns": {name: name for name in ("problem", "solution", "generator")}}],
            "deduplicate": {"near_problems": None}, "executor": {"tasks": 1, "workers": 1}}


def sample(number, value, generator="weak"):
    return {"problem": f"What is {number} + 7?", "answer": str(number + 7), "generator": generator,
            "solution": f"I add.\n#### {value}"}


def test_judge_reads_so_many_of_each_verdict_of_each_generator(tmp_path, scripted):
    samples = [sample(number, number + wrong, generator) for number in (11, 12, 13) for wrong in (7, 8)
               for generator in ("weak", "strong")]
    scripted(lambda prompt, count: "First error: none")
    judge = {"generator": "reader", "correct_per_generator": 2, "incorrect_per_generator": 1}
    execute(write(tmp_path, samples) | {"judge": judge}, tmp_path / "run", "judge")
    of = {row["solution_id"]: row["generator"] for row in rows(tmp_path / "run", "solutions")}
    verdict = {row["solution_id"]: row["verdict"] for row in rows(tmp_path / "run", "verdicts")}
    judged = [row["solution_id"] for row in rows(tmp_path / "run", "judgements") if row["sampled"]]
    assert Counter((of[name], verdict[name]) for name in judged) == {
        (generator, kind): count for generator in ("weak", "strong")
        for kind, count in (("correct", 2), ("incorrect", 1))}


def test_an_edited_text_has_another_id_and_keeps_those_of_others(tmp_path):
    def ids(samples):
        execute(write(tmp_path, samples), tmp_path / "run", "generate")
        solutions = rows(tmp_path / "run", "solutions")
        return {row["solution"]: (row["problem_id"], row["solution_id"]) for row in solutions}

    first, second, edited = sample(11, 18), sample(12, 19), sample(12, 19) | {"solution": "I count.\n#### 19"}
    before, after = ids([first, second]), ids([first, edited])
    assert before[first["solution"]] == after[first["solution"]]
    assert before[second["solution"]][0] == after[edited["solution"]][0]
    assert before[second["solution"]][1] != after[edited["solution"]][1]
    renamed = ids([first, edited | {"problem": "What are 12 + 7?"}])
    assert not set(renamed[edited["solution"]]) & set(after[edited["solution"]])


def test_rollout_that_an_alternative_and_a_step_share_stands_once(tmp_path, scripted):
    """Behind its pit x the first solution takes the step b, which the second one has itself."""
    answers = {"": "I add.\n#### 8", "I add.\n": "b\n#### 18", "I add.\nx\n": "#### 8", "I add.\nb\n": "#### 18"}
    scripted(lambda prompt, count: answers[prompt.partition("?\n")[2]])
    samples = [sample(11, None) | {"solution": f"I add.\n{step}\n#### 8"} for step in ("x", "b")]
    annotate = {"policy": "reader", "rollouts": 8, "search": "exhaustive", "splitter": "newline",
                "negatives_per_problem": 2, "positives_per_problem": 0}
    execute(write(tmp_path, samples) | {"annotate": annotate}, tmp_path / "run", "annotate")
    rollouts = rows(tmp_path / "run", "rollouts")
    (alternative,) = [row for row in rows(tmp_path / "run", "alternatives") if row["step"] == "b\n"]
    (step,) = [row for row in rows(tmp_path / "run", "steps") if row["step"] == "b\n"]
    assert (alternative["rollouts"], alternative["successes"]) == (step["rollouts"], step["successes"]) == (8, 8)
    assert Counter(row["origin"] for row in rollouts)["prefix"] == len(rollouts) == len({
        row["rollout_id"] for row in rollouts})
