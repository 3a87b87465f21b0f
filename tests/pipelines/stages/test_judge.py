"""The judge: what counts as a vote, what a majority is, and that every vote is accounted for."""

import copy
import shutil
from collections import Counter, defaultdict

import pytest
from helpers.openai_server import Behaviour, serving
from helpers.runs import SMALL, execute, rows
from helpers.scripted import ScriptedServer

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.builders.release import read_manifest
from stepforge.pipelines import plan
from stepforge.pipelines.inference import runner as runner_module
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import judge
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


def first_errors_of_rollouts(folder):
    """By solution the first step behind which nothing succeeds, if there was success right before it; -1 for none."""
    shares = defaultdict(list)
    for row in sorted(rows(folder, "steps"), key=lambda row: row["step_index"]):
        share = row["successes"] / row["rollouts"] if row["rollouts"] else row["q"]
        shares[row["solution_id"]].append(share)
    first_errors = {}
    for solution_id, values in shares.items():
        lost = len(values)
        while lost and not values[lost - 1]:
            lost -= 1
        first_errors[solution_id] = -1 if lost == len(values) else lost if values[lost] is not None else None
    return first_errors


def test_consensus_from_a_judge_of_annotated_solutions_to_release_card_and_measures(run_folder):
    """The judge, a real server, agrees on two solutions of four, disagrees on one and cannot tell on one."""
    truth = first_errors_of_rollouts(run_folder)
    problems = {row["problem_id"]: row["problem"] for row in rows(run_folder, "problems")}
    asked = {f"{problems[row['problem_id']]}\n{row['solution']}First error:": row["solution_id"]
             for row in rows(run_folder, "solutions") if row["solution_id"] in truth}
    said = {name: (truth[name], truth[name], max(0, truth[name] + 1), None)[index % 4]
            for index, name in enumerate(sorted(asked.values()))}

    def critique(prompt, seed):
        first = said.get(asked.get(prompt), -1)
        return "I cannot tell" if first is None else f"First error: {f'step {first + 1}' if first >= 0 else 'none'}"

    with serving(Behaviour(script=critique)) as server:
        recipe = with_judge(generator="reader", votes=1, correct_per_generator=2, incorrect_per_generator=0,
                            annotated=True, max_tokens=25)
        recipe["generators"].append({"name": "reader", "engine": "endpoint", "url": server.url, "model": "tiny",
                                     "samples": 0})
        recipe["release"] = SMALL["release"] | {"consensus": True}
        execute(recipe, run_folder)
        assert len(server.seen) == len(rows(run_folder, "judgements"))
    judged = {row["solution_id"]: row for row in rows(run_folder, "judgements")}
    sampled = {name for name, row in judged.items() if row["sampled"]}
    assert set(judged) == set(truth) | sampled and len(sampled) == 2 and len(truth) > 12
    assert rows(run_folder, "judgements") and plan.read_state(run_folder)["judge"]["rows_in"] == len(judged)

    steps = Counter(row["solution_id"] for row in rows(run_folder, "steps"))
    names = {name: -1 if row["soundness"] == "sound" else row["first_error"] for name, row in judged.items()
             if name in truth}
    assert all(judged[name]["steps"] == steps[name] for name in truth)
    both = [(names[name], truth[name]) for name in truth if names[name] is not None and truth[name] is not None]
    agreed = {name for name in truth if names[name] is not None and names[name] == truth[name]}
    assert 0 < len(agreed) < len(both) < len(truth)

    manifest = read_manifest(run_folder / "release")
    stepwise = {row["solution_id"] for path in (run_folder / "release/stepwise").glob("*.parquet")
                for row in read_rows(path)}
    assert stepwise == agreed
    assert len(stepwise) + sum(manifest["excluded"]["stepwise"].values()) == len(truth)
    assert set(manifest["excluded"]["stepwise"]) <= {"judge_disagrees", "judge_undecided", "rollouts_undecided"}
    pits = {row["solution_id"]: row["step_index"] for row in rows(run_folder, "steps") if row["is_pit"]}
    pairs = {row["rejected_id"] for path in (run_folder / "release/step_pairs").glob("*.parquet")
             for row in read_rows(path)}
    assert pairs <= {name for name, pit in pits.items() if names[name] == pit}
    assert plan.read_state(run_folder)["build"]["facts"]["excluded"] == manifest["excluded"]

    measured = {row["measure"]: row for row in rows(run_folder, "measures") if row["k"] is None and row["by"] == "all"}
    rate, kappa = measured["first_error_agreement_rate"], measured["first_error_kappa"]
    share = sum(one == other for one, other in both) / len(both)
    assert (rate["value"], rate["n"]) == (pytest.approx(share), len(both)) and rate["low"] < share < rate["high"]
    first, second = Counter(one for one, _ in both), Counter(other for _, other in both)
    chance = sum(first[label] * second[label] for label in first) / len(both) ** 2
    assert (kappa["value"], kappa["n"]) == (pytest.approx((share - chance) / (1 - chance)), len(both))
    assert kappa["low"] == pytest.approx((rate["low"] - chance) / (1 - chance)) and kappa["high"] > kappa["value"]
    assert measured["false_positive_rate_judge"]["n"] <= 2, "rates are over the random sample alone"
    card = (run_folder / "release/README.md").read_text(encoding="utf-8")
    assert "| first error kappa |" in card and "| first error agreement rate |" in card
    assert "hold only what both agree on" in card and "judge_disagrees" in card.replace("\\_", "_")


def test_annotated_solutions_are_judged_in_the_steps_that_are_valued(run_folder, scripted, monkeypatch):
    """Those of another splitter and fewer steps than by default."""
    scripted(lambda prompt, count: "First error: none")
    recipe = with_judge(votes=1, correct_per_generator=0, incorrect_per_generator=0, annotated=True,
                        splitter="newline", max_steps=2)
    recipe["annotate"] = SMALL["annotate"] | {"splitter": "newline", "max_steps": 2}
    monkeypatch.setattr(plan, "STAGES", tuple(stage for stage in plan.STAGES if stage.name in (
        "problems", "synthesize", "decontaminate", "generate", "verify", "deduplicate", "judge")))
    execute(recipe, run_folder)
    judged = rows(run_folder, "judgements")
    annotated = {row["solution_id"] for row in rows(run_folder, "steps")}
    assert {row["solution_id"] for row in judged} == annotated and {row["steps"] for row in judged} <= {1, 2}
    assert not any(row["sampled"] for row in judged)


def test_duplicates_concern_the_judge_only_where_it_reads_what_is_annotated():
    for annotated, unread in ((True, ()), (False, ("deduplicate",))):
        assert judge.STAGE.unread(Recipe.model_validate(with_judge(annotated=annotated))) == unread


def test_plan_counts_votes_on_annotated_solutions(tmp_path):
    """12 problems of 3 annotated solutions beside the 7 that are sampled, two votes each."""
    expected = estimate.expectations(Recipe.model_validate(with_judge(annotated=True)), tmp_path)
    assert expected["judge"] == f"at most {(7 + 36) * 2} votes, at most {(7 + 36) * 2 * 24:,} new tokens"
