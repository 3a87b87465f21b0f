"""A probe foresees what the run then costs, and what it paid for is not paid for again."""

from collections import Counter
from math import sqrt
from statistics import stdev

import pytest
from helpers.runs import SMALL, execute, rows
from helpers.scripted import ScriptedServer

from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.views.estimate import _judged, duration, probe

TWENTY = SMALL | {"problems": [{"source": "arithmetic", "limit": 20, "steps": [3, 4]}],
                  "annotate": {"policy": "tiny", "rollouts": 1, "negatives_per_problem": 1},
                  "release": {"configs": ["solutions"], "to": "local:published", "checkpoint": "local:shown"}}


def probed(recipe, folder, problems):
    return probe(Recipe.model_validate(recipe), folder, problems, plan.silent, lambda *_: None)


def test_probe_foresees_the_whole_and_the_whole_uses_what_it_paid_for(tmp_path, scripted, monkeypatch):
    """Every answer has 3 tokens, so what depends on counts alone is foreseen exactly."""
    monkeypatch.chdir(tmp_path)
    scripted(lambda prompt, count: "One.\nThe answer is 1.")
    estimate = probed(TWENTY, tmp_path / "run", 5)
    assert (estimate.problems, estimate.of) == (5, 20)
    by_stage = {row.stage: row for row in estimate.estimates}
    generate = by_stage["generate"]
    assert (generate.requests, generate.completion_tokens, generate.prompt_tokens) == (120, 360, 840)
    assert generate.margin == 0 and generate.seconds > 0 and generate.flops > 1e6 and generate.price is None
    assert not (tmp_path / "published").exists() and not (tmp_path / "shown").exists()
    assert by_stage["judge"].requests == 2 * 2, "two incorrect solutions at most, two votes each"

    execute(TWENTY, tmp_path / "run")
    ledger = plan.read_state(tmp_path / "run")["generate"]["ledger"]
    assert (ledger["prompt_tokens"], ledger["completion_tokens"]) == (840, 360)
    assert len({row["seed"] for row in rows(tmp_path / "run", "solutions")}) == 120
    assert len(set(ScriptedServer.seeds)) == len(ScriptedServer.seeds), "no completion was asked for twice"


def test_second_probe_is_done_and_keeps_its_times(tmp_path, scripted):
    scripted(lambda prompt, count: "The answer is 1.")
    first = probed(TWENTY, tmp_path, 4)
    calls = sum(ScriptedServer.calls.values())
    assert probed(TWENTY, tmp_path, 4) == first and sum(ScriptedServer.calls.values()) == calls
    assert probed(TWENTY, tmp_path, 6).problems == 6
    assert len(set(ScriptedServer.seeds)) == len(ScriptedServer.seeds), "the larger probe holds the smaller one"


def test_interval_is_that_of_a_draw_without_replacement(tmp_path):
    """A real model; the formula once more, from the table of the probe. The draw is fixed."""
    recipe = SMALL | {"judge": None, "annotate": None}
    estimate = probed(recipe, tmp_path, 6)
    (row,) = estimate.estimates
    tokens = Counter()
    for solution in rows(tmp_path / "probe", "solutions"):
        tokens[solution["problem_id"]] += solution["completion_tokens"]
    assert len(tokens) == 6 and row.completion_tokens == 2 * sum(tokens.values())
    assert row.margin == pytest.approx(12 * 1.959964 * stdev(tokens.values()) / sqrt(6) * sqrt(1 - 6 / 12))
    execute(recipe, tmp_path)
    whole = plan.read_state(tmp_path)["generate"]["ledger"]["completion_tokens"]
    assert abs(whole - row.completion_tokens) <= row.margin
    assert {r["solution_id"] for r in rows(tmp_path / "probe", "solutions")} < {
        r["solution_id"] for r in rows(tmp_path, "solutions")}


@pytest.mark.parametrize(("seconds", "text"), [(None, "?"), (5.4, "5 s"), (90, "1.5 min"), (7200, "2.0 h"),
                                               (200_000, "2.3 days")])
def test_durations_are_told_in_fitting_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("options", "factor"), [
    ({"correct_per_generator": None}, 2.0),                          # 40 correct ones become 80
    ({"correct_per_generator": 50}, 1.25),                           # 40 of at most 50
    ({"correct_per_generator": 50, "annotated": True}, 86 / 58),     # and 6 problems of 3, that become 12
])
def test_what_the_judge_reads_grows_with_the_problems_where_it_is_no_sample(options, factor):
    judge = SMALL["judge"] | {"incorrect_per_generator": 0} | options
    verdicts = [{"verdict": "correct", "n": 40}, {"verdict": "incorrect", "n": 9}]
    recipe = Recipe.model_validate(SMALL | {"judge": judge})
    assert _judged(recipe, verdicts, drawn=6, growth=2.0) == pytest.approx(factor)
