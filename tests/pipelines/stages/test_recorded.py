"""Solutions that exist already: matched to problems, or dropped with a reason."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from helpers.runs import execute, rows

from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.plan import read_state

DATA = os.environ.get("STEPFORGE_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with real samples")


def recipe(tmp_path, samples, **options):
    problems = '{"problem": "2+3?", "answer": 5}\n{"problem": "10/4?", "answer": "2.5"}\n'
    (tmp_path / "problems.jsonl").write_text(problems)
    (tmp_path / "samples.jsonl").write_text("\n".join(map(json.dumps, samples)))
    generator = {"name": "mine", "engine": "recorded", "paths": [str(tmp_path / "samples.jsonl")],
                 "columns": {"solutions": "solution"}}
    return {"name": "r", "problems": [{"source": "files", "paths": [str(tmp_path / "problems.jsonl")]}],
            "generators": [generator | options], "release": {"splits": {}}, "executor": {"tasks": 2, "workers": 1}}


def test_lists_of_samples_are_flattened_and_the_rest_is_accounted_for(tmp_path):
    samples = [
        {"problem": "2+3?", "solution": ["It is 5.", "The answer is 6", "", 7]},
        {"problem": "10/4?", "solution": [["The answer is 5/2", "The answer is 2.5"]]},
        {"problem": "unknown?", "solution": "The answer is 1"},
        {"question": "no such column", "solution": "x"},
    ]
    execute(recipe(tmp_path, samples), tmp_path / "run")
    solutions = rows(tmp_path / "run", "solutions")
    verdicts = {row["solution_id"]: row["verdict"] for row in rows(tmp_path / "run", "verdicts")}
    assert [(row["solution"], row["sample_index"], verdicts[row["solution_id"]]) for row in solutions] == [
        ("It is 5.", 0, "correct"), ("The answer is 6", 1, "incorrect"), ("7", 2, "undecided"),
        ("The answer is 5/2", 0, "correct"), ("The answer is 2.5", 1, "correct"),
    ]
    drops = Counter(row["reason"] for row in rows(tmp_path / "run", "drops/generate"))
    assert drops == {"no_solution": 1, "no_problem": 2}


def test_equal_computations_are_duplicates_when_the_recipe_says_so(tmp_path):
    samples = [{"problem": "2+3?", "solution": ["2+3=5\nThe answer is 5", "We add: 2 + 3 = 5.\nThe answer is 5",
                                                "3+2=5\nThe answer is 5", "2+3=5\nThe answer is  5"]}]
    execute(recipe(tmp_path, samples) | {"deduplicate": {"by": "equations"}}, tmp_path / "run")
    texts = {row["solution_id"]: row["sample_index"] for row in rows(tmp_path / "run", "solutions")}
    duplicates = rows(tmp_path / "run", "duplicates")
    assert [(texts[r["solution_id"]], texts[r["survivor_id"]], r["reason"]) for r in duplicates] == [
        (1, 0, "equations"), (3, 0, "text")]


def test_equal_golds_in_other_forms_are_one_problem_to_which_samples_of_either_id_belong(tmp_path):
    problems = [("How many?", "31", "a"), ("How  many?\r\n", "31.0", "b"), ("Which\u0301?", "\\frac{1}{2}", "d"),
                ("Whicń? no", "2", "e"), ("Two", "1", "f"), ("Two ", "2", "g"), ("Two", "1", "h")]
    lines = [{"problem": p, "answer": a, "id": i} for p, a, i in problems]
    samples = [{"key": key, "solution": f"The answer is {n}"}
               for key, n in (("b", 310), ("a", 31), ("g", 2), ("h", 1))]
    made = recipe(tmp_path, samples, join="key", columns={"solution": "solution"})
    (tmp_path / "problems.jsonl").write_text("\n".join(map(json.dumps, lines)))
    made["problems"][0]["columns"] = {"problem": "problem", "answer": "answer", "source_id": "id"}
    execute(made, tmp_path / "run")
    assert [row["source_id"] for row in rows(tmp_path / "run", "problems")] == ["a", "d", "e"]
    assert [row["verdict"] for row in rows(tmp_path / "run", "verdicts")] == ["incorrect", "correct"]
    drops = Counter(row["reason"] for row in rows(tmp_path / "run", "drops/problems"))
    assert drops == {"two_golds": 2, "duplicate": 2}
    assert [row["reason"] for row in rows(tmp_path / "run", "drops/generate")] == ["no_problem"] * 2
    del made["problems"][0]["columns"]["source_id"]
    with pytest.raises(StageFailed, match="none of 4 rows can be used; 4 are dropped as no_problem.*samples.jsonl:1"):
        execute(made, tmp_path / "other")


def test_text_that_may_be_cut_is_no_negative(tmp_path):
    samples = [{"problem": "2+3?", "solution": ["We add 2 and 3", "The answer is 6"]}]
    execute(recipe(tmp_path, samples), tmp_path / "run")
    assert [row["complete"] for row in rows(tmp_path / "run", "solutions")] == [None, None]
    assert [row["completion"] for row in rows(tmp_path / "run", "../release/negatives/train-00000-of-00001")] == [
        "The answer is 6"]


def test_problems_without_a_usable_gold_answer_are_counted_and_their_solutions_undecided(tmp_path):
    golds = ["see solution", r"\text{Proof}", "5", "They are equal, as was to be shown in the text."]
    (tmp_path / "golds.jsonl").write_text("\n".join(
        json.dumps({"problem": f"{n}?", "answer": gold}) for n, gold in enumerate(golds)))
    samples = [{"problem": f"{n}?", "solution": ["The answer is 5.", "The answer is 6."]} for n in range(len(golds))]
    made = recipe(tmp_path, samples) | {"problems": [{"source": "files", "paths": [str(tmp_path / "golds.jsonl")]}]}
    execute(made, tmp_path / "run")
    facts = read_state(tmp_path / "run")["verify"]["facts"]
    assert Counter((row["verdict"], row["reason"]) for row in rows(tmp_path / "run", "verdicts")) == {
        ("correct", None): 1, ("incorrect", None): 1, ("undecided", "gold_unparseable"): 6}
    assert facts["unusable_golds"] == 3
    assert facts["warnings"] == ["3 problems have no usable gold answer, so their solutions are undecided"]


@needs_data
def test_two_thousand_real_solutions_agree_with_their_labels(tmp_path):
    """Llama-2-7B and Mistral-7B on ten GSM8K problems."""
    generators, labels = [], {}
    for name in ("llama7b-2", "mistral7b"):
        path = Path(DATA) / f"samples_gsm8k_10x100_{name}.jsonl"
        generators.append({"name": name, "engine": "recorded", "paths": [str(path)], "columns": {
            "problem": "question", "solutions": "outputs[].response", "upstream_verdict": "outputs[].label"}})
        for line in path.read_text().splitlines():
            row = json.loads(line)
            for output in row["outputs"]:
                labels[row["question"].strip(), output["response"].strip()] = str(output["label"]).lower() == "true"
    columns = {"problem": "question", "answer": "ground_truth"}
    source = {"source": "files", "paths": [str(Path(DATA) / "samples_gsm8k_10x100_*.jsonl")], "columns": columns}
    execute({"name": "real", "problems": [source], "generators": generators, "release": {"splits": {}},
             "executor": {"tasks": 1, "workers": 1}}, tmp_path / "run")
    problem = {row["problem_id"]: row["problem"] for row in rows(tmp_path / "run", "problems")}
    verdicts = {row["solution_id"]: row for row in rows(tmp_path / "run", "verdicts")}
    solutions = rows(tmp_path / "run", "solutions")
    differ = [(labels[problem[s["problem_id"]].strip(), s["solution"].strip()], verdicts[s["solution_id"]])
              for s in solutions
              if labels[problem[s["problem_id"]].strip(), s["solution"].strip()]
              != (verdicts[s["solution_id"]]["verdict"] == "correct")]
    assert len(problem) == 10 and len(solutions) == 2000
    assert len(differ) <= 10, differ
    for config, least in (("positives", 30), ("negatives", 30), ("pairs", 60)):
        counted = sum(len(rows(tmp_path / "run", f"../release/{config}/{p.stem}"))
                      for p in (tmp_path / "run/release" / config).glob("*.parquet"))
        assert counted >= least, config
