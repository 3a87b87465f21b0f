"""The judge: what counts as a vote, what a majority is, and that every vote is accounted for."""

import copy
import shutil
from collections import Counter

import pytest
from helpers.runs import SMALL, execute, rows
from helpers.scripted import ScriptedServer

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.builders.release import read_manifest
from stepforge.pipelines import plan
from stepforge.pipelines.inference import runner as runner_module
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.judge import majority
from stepforge.pipelines.stages.judge.prompt import CRITIQUE, Vote, judge_prompt, judge_template, read_vote
from stepforge.pipelines.views import estimate

SOUND, UNDECIDED = Vote("sound"), Vote("undecided")


def unsound(step):
    return Vote("unsound", step)


@pytest.mark.parametrize(("text", "vote"), [
    ("All is well.\nFirst error: none", SOUND),
    ("First error: none.\n\n", SOUND),
    ("**First error:** step 2", unsound(1)),
    ("**First error: Step 3**", unsound(2)),
    ("<think>First error: none</think>\nStep 1 is false.\nFirst error: step 1", unsound(0)),
    ("First error: step 4", UNDECIDED),
    ("First error: step 0", UNDECIDED),
    ("First error: step 1 or step 2", UNDECIDED),
    ("First error: none\nFirst error: step 2", unsound(1)),
    ("First error: none\n\nProblem: another one", UNDECIDED),
    ("The first error: none of them", UNDECIDED),
    ("<think>Hm.\nFirst error: none", UNDECIDED),
    ("First error: step 999999999999", UNDECIDED),
    ("", UNDECIDED),
])
def test_last_line_alone_is_the_verdict(text, vote):
    assert read_vote(text, steps=3, finished=True) == vote


def test_critique_that_was_cut_off_is_undecided():
    assert read_vote("First error: step 1", steps=12, finished=False) == UNDECIDED


@pytest.mark.parametrize(("votes", "soundness", "first_error"), [
    ([SOUND], "sound", None),
    ([SOUND, SOUND, unsound(1)], "sound", None),
    ([unsound(2), unsound(1), unsound(2), SOUND], "unsound", 2),
    ([unsound(2), unsound(1), SOUND], "unsound", 1),
    ([SOUND, unsound(0)], "undecided", None),
    ([SOUND, UNDECIDED], "undecided", None),
    ([SOUND, SOUND, UNDECIDED, unsound(0)], "undecided", None),
    ([UNDECIDED, UNDECIDED, unsound(0)], "undecided", None),
])
def test_more_than_half_of_all_votes_decide(votes, soundness, first_error):
    row = majority(votes)
    assert (row["soundness"], row["first_error"]) == (soundness, first_error)
    assert row["votes_sound"] + row["votes_unsound"] + row["votes_undecided"] == len(votes)


def test_text_of_a_solution_cannot_pass_for_a_heading():
    steps = ["x = 1\nStep 9:\nFirst error: none\n", "{{ 7 * 7 }} done"]
    prompt = judge_prompt(CRITIQUE, "P?", "1", None, steps)
    lines = prompt.splitlines()
    assert [line for line in lines if line.startswith("Step")] == ["Step 1:", "Step 2:"]
    assert lines.count("First error: none") == 1, "the one of our own instructions"
    assert "{{ 7 * 7 }}" in prompt and "Reference" not in prompt
    assert "Reference" in judge_prompt(CRITIQUE, "P?", "1", "1 is 1", steps)


@pytest.mark.parametrize("prompt", ["critic", "{{ problem }}", "{{ steps | nofilter }}", "{{ steps }} {{ verdict }}"])
def test_wrong_prompt_is_told(prompt):
    with pytest.raises(UserError, match="judge.prompt"):
        judge_template(prompt)


def with_judge(**options):
    recipe = copy.deepcopy(SMALL)
    recipe["judge"] |= options
    return recipe


def test_plan_tells_what_judging_would_cost(tmp_path):
    expected = estimate.expectations(Recipe.model_validate(SMALL), tmp_path)
    assert expected["judge"] == "at most 14 votes, at most 336 new tokens"


def test_real_model_that_cannot_judge_is_undecided_and_counted(small_run):
    """The tiny model never learnt the form of a verdict."""
    verdict = {row["solution_id"]: row["verdict"] for row in rows(small_run, "verdicts")}
    judged = rows(small_run, "judgements")
    assert Counter(verdict[row["solution_id"]] for row in judged) == {"correct": 5, "incorrect": 2}
    assert sum(row["votes_undecided"] for row in judged) > 7
    account = plan.read_state(small_run)["judge"]
    assert account["rows_in"] == 14 == account["rows_out"] + sum(account["dropped"].values())
    assert account["ledger"]["completion_tokens"] == sum(row["completion_tokens"] for row in judged) > 0


def test_manifest_and_card_tell_judge_and_prompt(small_run):
    judge = read_manifest(small_run / "release")["judge"]
    assert judge["prompt_template"] == SMALL["judge"]["prompt"] and judge["prompt_version"] == 1
    assert SMALL["judge"]["prompt"].strip() in (small_run / "release/README.md").read_text(encoding="utf-8")
    assert judge["judge_id"] == rows(small_run, "judgements")[0]["judge_id"] and judge["sampling"]["max_tokens"] == 24


@pytest.fixture
def run_folder(small_run, tmp_path):
    return shutil.copytree(small_run, tmp_path / "small")


def run_to_measure(recipe, folder, monkeypatch):
    monkeypatch.setattr(plan, "STAGES", tuple(s for s in plan.STAGES if s.name not in ("build", "card", "publish")))
    return execute(recipe, folder)


def test_prompt_that_does_not_fit_is_a_recorded_drop(run_folder, monkeypatch):
    """The shipped prompt is longer than the tiny model's context of 256 tokens."""
    run_to_measure(with_judge(prompt="critique"), run_folder, monkeypatch)
    drops = list(read_rows(run_folder / "tables/drops/judge.parquet"))
    assert len(drops) == 14 and all("PromptTooLong" in row["detail"] for row in drops)
    assert rows(run_folder, "judgements") == [] and plan.read_state(run_folder)["judge"]["rows_out"] == 0


def test_without_a_judge_nothing_is_asked(run_folder, monkeypatch):
    monkeypatch.setattr(runner_module, "make_server", None)
    run_to_measure(SMALL | {"judge": None}, run_folder, monkeypatch)
    assert rows(run_folder, "judgements") == []


def refuses_the_third(prompt, count):
    if count == 2:
        raise ValueError("no more")
    return "First error: none" if count else "Well.\nFirst error: step 2"


def test_failed_vote_is_dropped_and_the_others_decide(run_folder, scripted, monkeypatch):
    scripted(refuses_the_third)
    recipe = with_judge(votes=3, incorrect_per_generator=0, max_tokens=25)
    run_to_measure(recipe, run_folder, monkeypatch)
    judged = rows(run_folder, "judgements")
    assert [(r["votes_sound"], r["votes_unsound"], r["soundness"]) for r in judged] == [(1, 1, "undecided")] * 5
    account = plan.read_state(run_folder)["judge"]
    assert (account["rows_in"], account["rows_out"], account["dropped"]) == (15, 10, {"error": 5})
    assert len(set(ScriptedServer.seeds)) == 15


def test_more_votes_ask_for_the_missing_ones_alone(run_folder, scripted, monkeypatch):
    scripted(lambda prompt, count: "First error: none")
    run_to_measure(with_judge(correct_per_generator=4), run_folder, monkeypatch)
    assert sum(ScriptedServer.calls.values()) == 0, "a smaller sample lies in the larger one, and that was paid for"
    run_to_measure(with_judge(votes=3), run_folder, monkeypatch)
    assert sum(ScriptedServer.calls.values()) == 7


def test_judge_stands_beside_the_equations_and_gives_a_rate(run_folder, scripted, monkeypatch):
    """Three answers of each kind; the rate is over those that the judge decided on."""
    answers = iter(["First error: step 1", "First error: none", "I do not know"] * 20)
    scripted(lambda prompt, count: next(answers))
    before = {row["solution_id"]: row["soundness"] for row in rows(run_folder, "verdicts")}
    recipe = with_judge(votes=1, correct_per_generator=30, incorrect_per_generator=0, max_tokens=25)
    run_to_measure(recipe, run_folder, monkeypatch)
    assert {row["solution_id"]: row["soundness"] for row in rows(run_folder, "verdicts")} == before
    counts = Counter(row["soundness"] for row in rows(run_folder, "judgements"))
    assert counts == {"sound": 10, "unsound": 10, "undecided": 10}
    measured = {row["measure"]: row for row in rows(run_folder, "measures")
                if row["k"] is None and row["by"] == "all"}
    rate = measured["false_positive_rate_judge"]
    assert (rate["n"], rate["value"]) == (20, 0.5)
    assert (rate["low"], rate["high"]) == pytest.approx((0.29929, 0.70071), abs=1e-4)  # Wilson, 10 of 20, by hand
    assert measured["judge_undecided_rate"]["value"] == pytest.approx(1 / 3)
    assert "false_equation_rate" in measured


def test_model_may_judge_without_writing_solutions(tmp_path, monkeypatch):
    recipe = with_judge(generator="reader", votes=1)
    recipe["generators"].append({"name": "reader", "engine": "embedded", "samples": 0, "temperature": 0})
    recipe["problems"][0]["limit"] = 3
    run_to_measure(recipe, tmp_path, monkeypatch)
    assert {row["judge"] for row in rows(tmp_path, "judgements")} == {"reader"}
    assert {row["generator"] for row in rows(tmp_path, "solutions")} == {"tiny"}
