"""New problems: what counts as one, what counts as a majority, and that every draft is accounted for."""

from collections import Counter

import pytest
from helpers.runs import execute, rows
from helpers.scripted import ScriptedServer
from helpers.writer import PROMPT, make_writer

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.builders.release import read_manifest
from stepforge.cards.check import check
from stepforge.pipelines import plan
from stepforge.pipelines.answers import open_verifier
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.synthesize.prompt import MAX_CHARS, SIMILAR, read_draft, writer_prompt, writer_template
from stepforge.pipelines.stages.synthesize.vote import election
from stepforge.pipelines.views import estimate

GOOD = "Ada has 3 boxes of 4 pens. How many pens has she?"


@pytest.mark.parametrize("text", [
    GOOD,
    f"\n\n  {GOOD}\n",
    f"**New problem:**\n{GOOD}",
    f"Here is a new problem: {GOOD}",
    f"<think>Problem: something else?</think>\n{GOOD}",
    f"{GOOD}\n\nSolution:\n3 * 4 = 12\nThe answer is 12.",
    f"{GOOD}\n**Answer:** 12",
    f"{GOOD}\n\nProblem 2: Another one?",
    f"{GOOD}\n---\nI hope you like it.",
    f"{GOOD}\x00\x1b",
])
def test_problem_is_what_stands_before_whatever_comes_next(text):
    assert read_draft(text, finished=True) == (GOOD, None, "")


@pytest.mark.parametrize(("text", "finished", "reason"), [
    ("", True, "empty"),
    ("  \n\t", True, "empty"),
    ("New problem:", True, "empty"),
    ("\nSolution: The answer is 4.", True, "no_question"),
    ("Ada has 3 boxes of 4 pens.", True, "no_question"),
    (GOOD, False, "truncated"),
    (f"<think>{GOOD}", True, "truncated"),
    ("How many? " * 100_000, True, "too_long"),
    ("\n" * 1_000_000 + "*" * 1_000_000, True, "empty"),
    ("*\n" * 2000 + "?", True, "no_question"),
])
def test_what_is_no_problem_has_a_reason(text, finished, reason):
    draft = read_draft(text, finished)
    assert (draft.problem, draft.reason) == ("", reason)


def test_draft_that_was_cut_off_behind_its_problem_counts():
    assert read_draft(f"{GOOD}\nSolution: first, 3 *", finished=False).problem == GOOD


def test_problem_of_the_greatest_length_is_kept_whole():
    text = "Is " + "x" * (MAX_CHARS - 7) + " so?"
    assert len(text) == MAX_CHARS
    assert read_draft(f"{text}\nSolution: 1", finished=True).problem == text


@pytest.mark.parametrize("prompt", ["similiar", "{{ answer }}", "{{ problem | nofilter }}", "{{ problem }} {{ hint }}",
                                    "{{ problem }} {% if %}", "{{ problem + 1 }}"])
def test_wrong_prompt_is_told(prompt):
    with pytest.raises(UserError, match="synthesize.prompt"):
        writer_template(prompt)


def test_text_of_a_seed_is_never_a_template():
    assert "{{ 7 * 7 }}" in writer_prompt(SIMILAR, "{{ 7 * 7 }}?", "49", None)


def vote_of(solutions, agreement):
    with open_verifier() as verifier:
        return election(solutions, agreement, verifier)


def solution(answer, reason="stop"):
    return Completion("" if answer is None else f"So.\nThe answer is {answer}.", reason, 1, 1, 0,
                      error="refused" if reason == "error" else None)


@pytest.mark.parametrize(("answers", "outcome", "answer", "agreement"), [
    (["12"] * 5, "kept", "12", 1.0),
    (["12", "12", "12", "4", "5"], "kept", "12", 0.6),
    (["1/2", "0.5", "\\frac{1}{2}", "0.5", "7"], "kept", "0.5", 0.8),
    (["12", "12", "4", "4"], "disagreement", None, 0.5),
    (["12", "4", "5"], "disagreement", None, 1 / 3),
    (["12", "12", None, None], "disagreement", None, 0.5),
    ([None, None], "unsolved", None, None),
    (["9" * 201, "9" * 201], "unsolved", None, None),
    (["9" * 200, "9" * 200], "kept", "9" * 200, 1.0),
])
def test_majority_of_the_solutions_gives_the_answer(answers, outcome, answer, agreement):
    elected = vote_of([solution(text) for text in answers], 0.6)
    assert (elected.outcome, elected.answer) == (outcome, answer)
    assert elected.agreement == (None if agreement is None else pytest.approx(agreement))
    assert vote_of([solution(text) for text in reversed(answers)], 0.6) == elected


def test_failed_requests_do_not_vote_and_too_many_of_them_decide_nothing():
    failed = solution(None, "error")
    assert vote_of([solution("3"), solution("3"), failed, failed], 1.0)[0] == "kept"
    assert vote_of([solution("3"), failed, failed], 0.6)[0] == "error"


def test_last_number_that_nobody_calls_the_answer_is_no_vote():
    assert vote_of([Completion("I see 4 and 7", "stop", 1, 1, 0)] * 2, 0.6)[0] == "unsolved"


SEEDS = "Problem {}: what is {} + 1?"


def recipe(**options):
    return {
        "name": "new", "problems": [{"source": "files", "paths": ["seeds.jsonl"], "columns": {
            "problem": "problem", "answer": "answer", "group_id": "group"}},
            {"source": "files", "paths": ["test.jsonl"], "split": "test"}],
        "generators": [{"name": "tiny", "engine": "embedded", "samples": 1}],
        "synthesize": {"writer": "tiny", "solver": "tiny", "per_seed": 3, "solutions": 4,
                       "prompt": "WRITE {{ problem }}"} | options,
        "release": {"splits": {"test": 0.5}}, "executor": {"tasks": 1, "workers": 1},
    }


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f'{{"problem": "{SEEDS.format(i, i)}", "answer": "{i + 1}", "group": "g{i}"}}' for i in range(4)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    (tmp_path / "test.jsonl").write_text('{"problem": "Held out: what is 5?", "answer": "5"}')
    return tmp_path / "run"


def script(prompt, count):
    """After seeds 0 to 3 two good drafts, two disputed ones and a copy, ever the same draft, and nothing of use."""
    if not prompt.startswith("WRITE"):
        return f"The answer is {count if 'hard' in prompt else len(prompt)}."
    number = int(prompt.split()[2][0])
    return {0: ["Easy: what is 1?", "Easy: what is 22?", "No problem at all."],
            1: ["A hard one?", "Another hard one?", SEEDS.format(1, 1).upper()],
            2: ["Just this one?", " just  THIS one?", "Just this one?"],
            3: ["", "What?" * 2000, "<think>"]}[number][count]


def test_every_draft_is_a_problem_or_a_drop_with_a_reason(seeds, scripted):
    scripted(script)
    execute(recipe(), seeds, "generate")
    account = plan.read_state(seeds)["synthesize"]
    assert account["rows_in"] == 5 + 4 * 3 == account["rows_out"] + sum(account["dropped"].values())
    assert account["dropped"] == {"disagreement": 2, "duplicate": 3, "empty": 1, "no_question": 1, "too_long": 1,
                                  "truncated": 1}
    assert account["ledger"] == {"drafts": 12, "solutions": 20, "prompt_tokens": 7 * 32, "completion_tokens": 3 * 32}
    assert Counter(row["reason"] for row in read_rows(seeds / "tables/drops/synthesize.parquet")) == account["dropped"]
    assert not any("Held out" in prompt and prompt.startswith("WRITE") for prompt in ScriptedServer.calls)
    assert len(set(ScriptedServer.seeds)) == len(ScriptedServer.seeds)


def test_new_problem_knows_its_parent_and_shares_its_split(seeds, scripted):
    scripted(script)
    execute(recipe(), seeds)
    problems = rows(seeds, "problems")
    old = {row["problem_id"]: row for row in problems if row["parent_id"] is None}
    new = [row for row in problems if row["parent_id"] is not None]
    assert [(row["problem"], row["answer"]) for row in new] == [
        ("Easy: what is 1?", "17"), ("Easy: what is 22?", "18"), ("Just this one?", "15")]
    for row in new:
        parent = old[row["parent_id"]]
        assert (row["group_id"], row["license"], row["split"]) == (parent["group_id"], parent["license"], "train")
        assert (row["generator"], row["agreement"]) == ("tiny", 1.0)
    released = {row["problem_id"]: path.stem.split("-")[0] for path in (seeds / "release/problems").glob("*.parquet")
                for row in read_rows(path)}
    assert all(released[row["problem_id"]] == released[row["parent_id"]] for row in new)
    assert {row["problem_id"] for row in rows(seeds, "solutions")} >= {row["problem_id"] for row in new}
    made = read_manifest(seeds / "release")["synthesize"]
    assert made["prompt_template"] == "WRITE {{ problem }}" and (made["prompt_version"], made["agreement"]) == (1, 0.6)


def test_drafts_and_what_they_cost_are_counted_once_in_many_buckets(seeds, scripted, tmp_path):
    scripted(script)
    execute(recipe(), seeds, "measure")
    ScriptedServer.calls.clear()
    execute(recipe() | {"executor": {"tasks": 2, "workers": 1, "buckets": 3}}, tmp_path / "many", "measure")
    measures = rows(seeds, "measures")
    assert any(row["measure"].startswith("synthesize_") and row["value"] for row in measures)
    assert rows(tmp_path / "many", "measures") == measures
    assert rows(tmp_path / "many", "drafts") == rows(seeds, "drafts")


def test_more_drafts_and_solutions_ask_for_the_missing_ones_alone(seeds, scripted):
    scripted(lambda prompt, count: f"Write {prompt} and {count}?" if "WRITE" in prompt[:5] else "The answer is 1.")
    execute(recipe(per_seed=1, solutions=2), seeds, "generate")
    before = sum(ScriptedServer.calls.values())
    execute(recipe(per_seed=2, solutions=3), seeds, "generate")
    drafts, generated = 4, 4
    assert sum(ScriptedServer.calls.values()) - before == drafts + (4 * 1 + 4 * 3) + generated


def test_verifier_of_the_recipe_reads_the_votes(seeds, scripted, monkeypatch):
    """Four solutions that differ agree once the user's function gives all of them one key."""
    monkeypatch.setattr(plan, "STAGES", plan.STAGES[:2])
    scripted(script)
    (seeds.parent / "parity.py").write_text(
        "from stepforge.pipelines.answers import Verdict\nVERSION = 1\n"
        "def verify(claim): return Verdict('7', 'odd or even', 'incorrect', None, 'parity')\n")
    execute(recipe() | {"verify": {"verifier": "parity:verify"}}, seeds)
    assert Counter(row["outcome"] for row in rows(seeds, "drafts"))["kept"] == 5
    assert {row["answer"] for row in rows(seeds, "drafts") if row["outcome"] == "kept"} == {"7"}


def test_draft_whose_request_failed_is_asked_for_again(seeds, scripted, monkeypatch):
    monkeypatch.setattr(plan, "STAGES", plan.STAGES[:2])

    def fails(prompt, count):
        if prompt.startswith("WRITE Problem 0"):
            raise ValueError("no more")
        return f"Is it {prompt}?" if prompt.startswith("WRITE") else "The answer is 1."

    scripted(fails)
    execute(recipe(per_seed=1), seeds)
    assert plan.read_state(seeds)["synthesize"]["dropped"] == {"error": 1}
    assert [r["outcome"] for r in rows(seeds, "drafts")] == ["error", "kept", "kept", "kept"]
    scripted(lambda prompt, count: "Is it so?" if prompt.startswith("WRITE") else "The answer is 1.")
    assert execute(recipe(per_seed=1), seeds) == ["synthesize"]
    assert [r["outcome"] for r in rows(seeds, "drafts")] == ["kept"] * 4
    assert sum(count for prompt, count in ScriptedServer.calls.items() if "WRITE" in prompt[:5]) == 4 + 1


def test_plan_tells_how_much_would_be_written(seeds):
    expected = estimate.expectations(Recipe.model_validate(recipe() | {"subset": 4}), seeds)
    assert expected["synthesize"] == "at most 12 drafts, 4 solutions of each"
    assert expected["generate"].startswith("tiny: 16 solutions")


def test_without_a_writer_the_problems_are_the_seeds(small_run):
    assert rows(small_run, "problems") == rows(small_run, "seeds") and rows(small_run, "drafts") == []


def test_real_model_that_cannot_write_makes_no_problem_and_loses_no_row(tmp_path):
    """The tiny model answers a problem with a solution, which asks for nothing."""
    source = {"source": "arithmetic", "limit": 3, "steps": [3, 3]}
    execute(recipe(prompt="{{ problem }}\n", max_tokens=96) | {"problems": [source]}, tmp_path, "synthesize")
    account = plan.read_state(tmp_path)["synthesize"]
    assert account["rows_in"] == 12 and account["dropped"]["no_question"] >= 8
    assert account["rows_out"] == 12 - sum(account["dropped"].values())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_real_writer_makes_problems_that_a_real_solver_agrees_on(tmp_path):
    """A model trained here for half a minute writes problems, the shipped one solves them; nothing is scripted."""
    losses = make_writer(tmp_path / "writer")
    assert sum(losses[-20:]) < sum(losses[:20]) / 4
    source = {"source": "arithmetic", "limit": 40, "steps": [2, 3], "max_operand": 30}
    writer = {"name": "writer", "engine": "embedded", "model": str(tmp_path / "writer"), "samples": 0}
    solver = {"name": "tiny", "engine": "embedded", "samples": 2, "max_tokens": 96}
    new = {"writer": "writer", "solver": "tiny", "solutions": 5, "prompt": PROMPT, "max_tokens": 110}
    run = tmp_path / "run"
    execute({"name": "real", "problems": [source], "generators": [solver, writer], "synthesize": new,
             "release": {"splits": {"test": 0.2}}, "executor": {"tasks": 1, "workers": 1}}, run)
    account = plan.read_state(run)["synthesize"]
    assert account["rows_in"] == 80 == account["rows_out"] + sum(account["dropped"].values())
    assert account["dropped"]["disagreement"] > 0, "a draft that makes no sense is found out by its solutions"
    old = {row["problem"] for row in rows(run, "seeds")}
    written = {row["problem_id"]: row for row in rows(run, "problems") if row["parent_id"]}
    assert len(written) >= 10 and not old & {row["problem"] for row in written.values()}
    assert all(row["agreement"] >= 0.6 and int(row["answer"]) >= 0 for row in written.values())
    verdicts = {row["solution_id"]: row["verdict"] for row in rows(run, "verdicts")}
    solved = Counter(verdicts[row["solution_id"]] for row in rows(run, "solutions") if row["problem_id"] in written)
    assert solved["correct"] > solved["incorrect"], "solutions that did not vote bear the answers out"
    assert check(str(run / "release")) == []
