"""A real run in which rollouts count for the prefixes that they pass: the tables say which, and everything adds up."""

import shutil
from collections import Counter, defaultdict
from itertools import accumulate

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.pipelines.credit import rollouts
from stepforge.pipelines.credit.rollouts import outcome_of
from stepforge.pipelines.inference.models import load_tokenizer
from stepforge.pipelines.recipe import Recipe

ROLLOUTS = 6
PASSING = {**SMALL, "judge": None, "annotate": {**SMALL["annotate"], "rollouts": ROLLOUTS, "negatives_per_problem": 6,
                                                "positives_per_problem": 6, "passing": True, "pit_fall": -1,
                                                "search": "exhaustive"}}


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    folder = shutil.copytree(small_run, tmp_path_factory.mktemp("passing") / "run")
    execute(PASSING, folder, "annotate")
    return folder


@pytest.fixture(scope="module")
def prefixes(run):
    """Of every unfinished step the text up to it; of every (problem, text) the row of its step."""
    text, found, last = {}, {}, Counter()
    for row in rows(run, "steps"):
        last[row["solution_id"]] = max(last[row["solution_id"]], row["step_index"])
    by_solution = defaultdict(list)
    for row in rows(run, "steps"):
        by_solution[row["solution_id"]].append(row)
    for solution_id, steps in by_solution.items():
        for row, prefix in zip(steps, accumulate(row["step"] for row in steps), strict=True):
            text[solution_id, row["step_index"]] = prefix
            if row["step_index"] < last[solution_id]:
                assert found.setdefault((row["problem_id"], prefix), row)["rollouts"] == row["rollouts"]
    return text, found


def test_counts_are_the_rollouts_that_began_at_a_step_and_those_that_passed_it(run, prefixes):
    """The tokenizer of the tiny model cuts a text in one way only, so texts tell what was passed."""
    text, found = prefixes
    own, passing, won, passed = Counter(), Counter(), Counter(), 0
    for row in rows(run, "rollouts"):
        if row["origin"] != "prefix" or outcome_of(row) == "excluded":
            continue
        begun = text[row["solution_id"], row["step_index"]] if row["step_index"] >= 0 else ""
        whole, problem = begun + row["completion"], row["problem_id"]
        own[problem, begun] += 1
        further = [key for key in found if key[0] == problem and len(key[1]) > len(begun) and whole.startswith(key[1])]
        assert row["passed"] == len(further)
        passed += row["passed"]
        for key in further:
            passing[key] += 1
            won[key] += row["verdict"] == "correct"
    assert passed > 20 and passed == sum(row["passing_rollouts"] for row in found.values())
    for key, row in found.items():
        assert row["rollouts"] == own[key] + row["passing_rollouts"] >= ROLLOUTS
        assert (row["passing_rollouts"], row["passing_successes"]) == (passing[key], won[key])
        assert row["q"] == row["successes"] / row["rollouts"] and row["estimator"] == "fixed_n"


def test_every_rollout_may_write_as_much_as_is_left_of_a_whole_solution(run, prefixes):
    text, most = prefixes[0], SMALL["generators"][0]["max_tokens"]
    tokens = load_tokenizer("tiny")
    later = [row for row in rows(run, "rollouts") if row["origin"] == "prefix" and row["step_index"] >= 0]
    assert later
    for row in later:
        begun = len(tokens(text[row["solution_id"], row["step_index"]]).input_ids)
        assert begun + row["completion_tokens"] <= most + 1


def test_it_takes_fewer_rollouts_than_without(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    execute({**PASSING, "annotate": {**PASSING["annotate"], "passing": False}}, folder, "annotate")
    plain, passing = ([row for row in rows(where, "rollouts") if row["origin"] == "prefix"] for where in (folder, run))
    assert len(passing) < 0.9 * len(plain) and not any(row["passed"] for row in plain)
    assert {row["rollout_id"] for row in passing if row["step_index"] < 0} == \
        {row["rollout_id"] for row in plain if row["step_index"] < 0}
    assert not any(row["passing_rollouts"] or row["passing_successes"] for row in rows(folder, "steps"))


def test_a_run_again_counts_the_same_from_its_journal(run, tmp_path, monkeypatch):
    kept, tokens_of = [], rollouts.tokens_of
    monkeypatch.setattr(rollouts, "tokens_of", lambda generator, path: kept.append(path.is_file()) or tokens_of(
        generator, path))
    folder = shutil.copytree(run, tmp_path / "run")
    execute({**PASSING, "annotate": {**PASSING["annotate"], "pit_tolerance": 0.06}}, folder, "annotate")
    first, again = ([row for row in rows(where, "rollouts") if row["origin"] == "prefix"] for where in (run, folder))
    assert first == again
    assert [row["passing_rollouts"] for row in rows(run, "steps")] == [
        row["passing_rollouts"] for row in rows(folder, "steps")]
    assert kept == [True], "the rank reads a tokenizer that the run keeps, without transformers"


@pytest.mark.parametrize("search", ["auto", "adaptive"])
def test_the_adaptive_search_refuses_it(search):
    with pytest.raises(ValueError, match="set `search` to exhaustive, scan or bisect"):
        Recipe.model_validate({**PASSING, "annotate": {**PASSING["annotate"], "search": search}})
