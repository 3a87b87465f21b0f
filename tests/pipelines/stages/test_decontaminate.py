"""Evaluation problems among the training problems: found whatever was done to them, and nothing else is."""

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from helpers.runs import rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines import plan
from stepforge.pipelines.plan import read_state
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import decontaminate, problems, synthesize

DATA = os.environ.get("STEPFORGE_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with real problems")
JARS = "Jonas has 25 dollars in a jar and 3.5 euros in a box. He spends 10 dollars on a trip. How much has he left?"
TEXTS = {
    "verbatim": JARS,
    "reworded": JARS.replace(" and", ", AND").replace("box.", "box;").replace("trip. How", "trip.\nhow").rstrip("?"),
    "longer": f"It is a fine day. {JARS} Explain your steps, then give the number.",
    "numbers": JARS.replace("25", "1,300").replace("3.5", "4").replace("10", "7"),
    "signs": "What is 2+3 of the 7 pears that Ann has?",
    "other": "Ann has 12 pears and gives away 5 of them. How many pears has she left in the evening of that day?",
}


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Run the stages up to decontaminate on problems and evaluation problems; gives the folder of the run."""
    monkeypatch.setattr(plan, "STAGES", (problems.STAGE, synthesize.STAGE, decontaminate.STAGE))

    def run(train, evaluation, **options):
        for name, texts in (("train", train), ("evaluation", evaluation)):
            lines = [json.dumps({"problem": text, "answer": "15", "id": name}) for name, text in texts.items()]
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        columns = {"problem": "problem", "answer": "answer", "source_id": "id"}
        source, against = ({"source": "files", "paths": [str(tmp_path / f"{name}.jsonl")], "columns": columns}
                           for name in ("train", "evaluation"))
        source["split"] = options.pop("split", "train")
        recipe = {"name": "r", "problems": [source], "decontaminate": {"against": [against], **options},
                  "generators": [{"name": "tiny", "engine": "embedded"}]}
        plan.run(Recipe.model_validate(recipe), tmp_path / "run", plan.silent, lambda planned, account: None)
        return tmp_path / "run"

    return run


def outcomes(run):
    name = {row["problem_id"]: row["source_id"] for row in rows(run, "candidates")}
    return {name[row["problem_id"]]: (row["rule"], row["outcome"]) for row in rows(run, "contamination")}


def test_each_disguise_is_seen_by_its_rule(prepare):
    evaluation = {"jars": JARS, "signs": TEXTS["signs"].replace("2+3", "2-3")}
    run = prepare(TEXTS, evaluation)
    assert outcomes(run) == {
        "verbatim": ("exact", "dropped"), "reworded": ("exact", "dropped"), "longer": ("ngrams", "dropped"),
        "numbers": ("numbers_masked", "flagged"), "signs": ("ngrams", "dropped"),
    }, "2+3 is not exactly 2-3, and pears are not jars"
    assert {row["source_id"] for row in rows(run, "problems")} == {"numbers", "other"}
    state = read_state(run)["decontaminate"]
    assert (state["rows_in"], state["rows_out"], state["dropped"]) == (6, 2, {"exact": 2, "ngrams": 2})
    assert {row["detail"].split()[1] for row in rows(run, "drops/decontaminate")} == {"jars", "signs"}


def test_other_numbers_are_dropped_where_the_recipe_says_so(prepare):
    run = prepare(TEXTS, {"jars": JARS}, other_numbers="drop")
    assert outcomes(run)["numbers"] == ("numbers_masked", "dropped")
    assert len(rows(run, "problems")) == 2


def test_test_problems_are_not_trained_on_and_pass(prepare):
    assert len(rows(prepare(TEXTS, {"jars": JARS}, split="test"), "problems")) == len(TEXTS)


def test_evaluation_row_that_cannot_be_read_is_an_error(prepare):
    with pytest.raises(UserError, match="cannot be compared"):
        prepare(TEXTS, {"jars": JARS, "empty": ""})


@pytest.mark.parametrize("overlap", [0.2, 0.5, 1.0])
def test_shared_runs_are_counted_as_all_pairs_would_be(prepare, overlap):
    """Every problem begins with one sentence, and pieces of evaluation problems stand in others."""
    draw = random.Random(overlap)
    words = [f"{one}{other}" for one in "abcdefgh" for other in "klmn"]
    stock = "read this and give one number as the answer please"
    evaluation = {f"e{n}": f"{stock} {' '.join(draw.choices(words, k=draw.randint(8, 30)))}" for n in range(12)}
    train = {}
    for n in range(60):
        piece = draw.choice(list(evaluation.values())).split()[draw.randint(0, 9):draw.randint(12, 39)]
        train[f"t{n}"] = " ".join([*stock.split(), *draw.choices(words, k=3), *piece, "so"])

    def runs(text):
        split = text.split()
        return {tuple(split[n:n + 4]) for n in range(len(split) - 3)}

    expected = {name for name, text in train.items()
                if any(len(runs(text) & runs(other)) / len(runs(other)) >= overlap for other in evaluation.values())}
    run = prepare(train | {"last": "one two three four five six"}, evaluation, ngram=4, overlap=overlap)
    assert {name for name, (rule, _) in outcomes(run).items() if rule == "ngrams"} == expected


def test_nothing_left_is_an_error(prepare):
    with pytest.raises(UserError, match="all 1 problems are in the evaluation sets"):
        prepare({"jars": JARS}, {"jars": JARS})


@needs_data
def test_planted_gsm8k_test_problems_are_all_found(tmp_path, monkeypatch):
    """Ninety of the test set among all 7,473 of the training set: as they are, in other case and spacing, with other
    numbers. Beside them real matches alone may be found, which the two sets hold less than ten of."""
    monkeypatch.setattr(plan, "STAGES", (problems.STAGE, synthesize.STAGE, decontaminate.STAGE))
    test = [json.loads(line) for line in Path(DATA, "gsm8k_test.jsonl").read_text().splitlines()]
    planted = [(row["question"], "exact") for row in test[:30]]
    planted += [(re.sub(r"\s+", "  ", row["question"]).upper(), "exact") for row in test[30:60]]
    planted += [(re.sub(r"\d+", lambda n: str(int(n[0]) + 3), row["question"]), "numbers_masked")
                for row in [row for row in test[60:] if len(re.findall(r"\d+", row["question"])) > 3][:30]]
    rules = [rule for _, rule in planted]
    (tmp_path / "planted.jsonl").write_text("\n".join(
        json.dumps({"question": text, "answer": f"#### {number}"}) for number, (text, _) in enumerate(planted)))
    recipe = {"name": "r", "generators": [{"name": "tiny", "engine": "embedded"}],
              "problems": [{"source": "gsm8k", "path": path} for path in (str(Path(DATA, "gsm8k_train.jsonl")),
                                                                          str(tmp_path / "planted.jsonl"))],
              "decontaminate": {"against": [
                  {"source": "gsm8k", "split": "test", "path": str(Path(DATA, "gsm8k_test.jsonl"))},
                  {"source": "math", "split": "test", "path": str(Path(DATA, "math500_test.jsonl"))}]}}
    plan.run(Recipe.model_validate(recipe), tmp_path / "run", plan.silent, lambda planned, account: None)
    name = {row["problem_id"]: row["source_id"] for row in rows(tmp_path / "run", "candidates")}
    hits = {name[row["problem_id"]]: row for row in rows(tmp_path / "run", "contamination")}
    seen = [hits.pop(f"planted.jsonl:{number + 1}")["rule"] for number in range(90)]
    softer = Counter(rule for rule, wanted in zip(seen, rules, strict=True) if rule != wanted)
    assert set(softer) <= {"ngrams"}, "few numbers in a long text leave runs of words that are equal"
    assert len(hits) < 10 and {row["evaluation"] for row in hits.values()} <= {"gsm8k test"}
    assert len(list(read_rows(tmp_path / "run/tables/problems.parquet"))) == 7473 + 30 - softer.total() - len(hits)
