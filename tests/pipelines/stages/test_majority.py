"""Problems without gold take the answer of their samples, marked, and never beside a real gold."""

import json

from helpers.runs import execute, rows


def test_agreed_answer_becomes_gold_and_is_counted_anew_with_other_samples(tmp_path):
    problems = [("Two and three?", None), ("One or two?", "notfound"), ("Seven?", "7"), ("Alone?", ""),
                ("Wrong?", None)]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"problem": p, "answer": a}) for p, a in problems))
    samples = {"Two and three?": "5 5 6", "One or two?": "1 2", "Seven?": "8 8", "Alone?": "4", "Wrong?": "3 3"}

    def write():
        (tmp_path / "s.jsonl").write_text("\n".join(
            json.dumps({"problem": p, "solution": [f"The answer is {a}. ({n})" for n, a in enumerate(said.split())],
                        "right": p != "Wrong?"}) for p, said in samples.items()))

    source = {"source": "files", "paths": [str(tmp_path / "p.jsonl")], "answer": "majority"}
    recipe = {"name": "m", "problems": [source],
              "generators": [{"name": "g", "engine": "recorded", "paths": [str(tmp_path / "s.jsonl")],
                              "columns": {"solutions": "solution", "upstream_verdict": "right"}}],
              "release": {"splits": {}, "configs": ["solutions", "problems"]}, "executor": {"tasks": 1, "workers": 1}}

    def golds():
        execute(recipe, tmp_path / "run")
        return {row["problem"]: (row["answer"], row["agreement"] and round(row["agreement"], 2))
                for row in rows(tmp_path / "run", "problems")}

    write()
    assert golds() == {"Two and three?": ("5", 0.67), "One or two?": ("", 0.5), "Seven?": ("7", None),
                       "Alone?": ("", 1.0), "Wrong?": ("", 0.0)}
    verdicts = {}
    for row in rows(tmp_path / "run", "verdicts"):
        verdicts[row["solution_id"]] = row["verdict"]
    outcomes = [verdicts[row["solution_id"]] for row in rows(tmp_path / "run", "solutions")]
    assert outcomes == ["correct", "correct", "incorrect", *["undecided"] * 2, *["incorrect"] * 2, *["undecided"] * 3]
    samples["Two and three?"], samples["One or two?"] = "5 6 6 6", "1 1 2"
    write()
    assert [golds()[name] for name in list(samples)[:3]] == [("6", 0.75), ("1", 0.67), ("7", None)]
    (tmp_path / "run/tables/problems.parquet").unlink()
    assert golds()["Two and three?"] == ("6", 0.75), "a table that is made again is voted on again"
    agreements = {row["measure"]: row["value"] for row in rows(tmp_path / "run", "measures")}
    assert agreements["upstream_agreement"] == 5 / 9
