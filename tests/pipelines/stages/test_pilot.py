"""A pilot teaches the adaptive search: the same whatever runs it, told in the manifest, and paid for once."""

import json
import shutil
from collections import Counter

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.pipelines import plan
from stepforge.pipelines.credit import fit
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.annotate import expects
from stepforge.pipelines.stages.annotate.facts import search_facts

ADAPTIVE = {**SMALL, "judge": None, "annotate": {**SMALL["annotate"], "search": "auto", "pilot": 5,
                                                      "share": "text"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adaptive")
    execute(ADAPTIVE, folder)
    return folder


def search_of(folder):
    manifest = json.loads((folder / "release" / "stepforge.json").read_text())
    return manifest["stages"]["annotate"]["facts"]["search"]


def test_the_fitted_model_stands_in_the_manifest(run):
    chain = search_of(run)["chain"]
    assert chain["pilot_problems"] == 5 and chain["pilot_solutions"] >= 5
    assert chain["fit"]["verdict"] in ("fits", "wider") and chain["fit"]["depths"]
    fitted, default = Chain.of(chain), Chain.default(0.05)
    assert abs(fitted.moves - default.moves).max() > 0.01
    assert fitted.moves.sum(1) == pytest.approx(1)
    assert abs(fitted.lengths - default.lengths).max() > 0.001


def test_the_search_is_adaptive_where_enough_problems_can_teach_it(run, small_run):
    assert search_of(run)["name"] == "adaptive" and search_of(small_run)["name"] == "exhaustive"
    assert {row["q_model"] is None for row in rows(run, "steps")} == {False}
    assert {row["q_model"] is None for row in rows(small_run, "steps")} == {True}


@pytest.mark.parametrize(("options", "problems", "words"), [
    ({}, 32, "(adaptive, for 32 problems and a pilot of 32)"), ({}, 31, "(exhaustive, for 31"),
    ({"pilot": 0}, 99, "(exhaustive, "), ({"search": "adaptive"}, 2, "(adaptive)"),
    ({"search": "scan"}, 99, "(scan)")])
def test_the_plan_tells_the_search_and_why(tmp_path, options, problems, words):
    recipe = Recipe.model_validate(SMALL | {"annotate": {"policy": "tiny", **options}})
    assert words in expects(recipe, problems, tmp_path).text


def test_a_policy_that_is_asked_in_batches_is_asked_once(tmp_path):
    batch = {"name": "tiny", "engine": "batch", "model": "m", "samples": 2}
    recipe = Recipe.model_validate(SMALL | {"generators": [batch], "annotate": {"policy": "tiny"}})
    assert "(exhaustive" in expects(recipe, 99, tmp_path).text


def test_ranks_do_not_matter(run, tmp_path):
    execute(ADAPTIVE | {"executor": {"tasks": 3, "workers": 1}}, tmp_path, "annotate")
    assert plan.read_state(tmp_path)["annotate"]["facts"]["search"] == search_of(run)
    for table in ("steps", "alternatives"):
        assert rows(tmp_path, table) == rows(run, table)


def test_every_rollout_of_the_journal_is_in_the_table(run):
    paid = [json.loads(line)["key"] for path in (run / "rollouts").glob("*/*.jsonl") for line in path.open("rb")]
    assert sorted(paid) == sorted(row["rollout_id"] for row in rows(run, "rollouts"))


def test_the_manifest_names_the_splitter_and_its_version(run):
    manifest = json.loads((run / "release" / "stepforge.json").read_text())
    assert manifest["stages"]["annotate"]["facts"]["splitter"] == {"name": "auto", "version": 2}


def test_a_judge_moves_the_models_values_and_no_count(small_run, tmp_path, scripted, monkeypatch):
    """The judge names step 1 (from 1) of every solution; rollouts that are not in the journal fail."""
    monkeypatch.setattr(plan, "STAGES", tuple(s for s in plan.STAGES if s.name not in ("build", "card", "publish")))
    scripted(lambda prompt, count: "First error: step 1" if prompt.endswith("First error:") else "I do not know")
    judge = {**SMALL["judge"], "votes": 1, "incorrect_per_generator": None, "correct_per_generator": None}
    annotate = {**SMALL["annotate"], "search": "adaptive", "pilot": 0}
    firsts, facts = {}, {}
    for sources in ((), ("judge",)):
        folder = shutil.copytree(small_run, tmp_path / f"with{len(sources)}")
        execute({**SMALL, "judge": judge, "annotate": {**annotate, "evidence": sources}}, folder)
        steps = rows(folder, "steps")
        wrong = {row["solution_id"] for row in steps if row["fall_low"] is not None}
        firsts[sources] = [row["pit_probability"] for row in steps
                           if row["solution_id"] in wrong and row["step_index"] == 0]
        facts[sources] = plan.read_state(folder)["annotate"]["facts"]["search"]["evidence"]
        made = Counter((row["solution_id"], row["step_index"]) for row in rows(folder, "rollouts")
                       if row["origin"] == "prefix" and row["verdict"] == "correct")
        assert sum(row["successes"] for row in steps) >= sum(made.values())
        assert all(row["q"] == row["successes"] / row["rollouts"] for row in steps if row["rollouts"])
    assert len(firsts[()]) == len(firsts["judge",]) > 5
    assert sum(firsts["judge",]) > 1.2 * sum(firsts[()])
    read = {row["solution_id"] for row in rows(folder, "judgements") if row["soundness"] == "unsound"}
    assert facts["judge",] == {"sources": ["judge"], "solutions_judged": len(read & {r["solution_id"] for r in steps})}
    assert facts["judge",]["solutions_judged"] > 10


@pytest.mark.parametrize(("annotate", "judge", "message"), [
    ({"evidence": ["judge"]}, {"incorrect_per_generator": 0}, "`judge` needs a `judge` that reads incorrect"),
    ({"evidence": ["judge"]}, None, "`judge` needs a `judge` that reads incorrect"),
    ({"evidence": ["judge"], "splitter": "sentence"}, {}, "splitter 'auto', annotate by 'sentence'"),
    ({"evidence": ["judge"]}, {"max_steps": 9}, "max_steps 9, annotate by 32"),
    ({"evidence": ["judge"], "search": "scan"}, {}, "read by the adaptive search only"),
    ({"evidence": ["values"]}, {}, "value_model is None and evidence"),
    ({"value_model": "prm"}, {}, "value_model is 'prm' and evidence"),
])
def test_evidence_that_cannot_be_had_is_told(annotate, judge, message):
    options = None if judge is None else {**SMALL["judge"], **judge}
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({**ADAPTIVE, "judge": options, "annotate": {**ADAPTIVE["annotate"], "search": "adaptive",
                                                                               **annotate}})


def test_steps_that_compute_the_same_inform_each_other_where_the_pilot_shows_it(run, tmp_path, monkeypatch):
    """As a recipe has it that does not name `share`. Five problems show nothing, so the second run takes whatever they
    show. The model's values move, no count does that a rollout of its own did not make."""
    shared = {**ADAPTIVE, "annotate": {key: value for key, value in ADAPTIVE["annotate"].items() if key != "share"}}
    facts = {}
    for gain in (1e9, -1e9):
        monkeypatch.setattr(fit, "GAIN", gain)
        folder = shutil.copytree(run, tmp_path / str(gain))
        execute(shared, folder)
        facts[gain] = search_of(folder)
        assert facts[gain]["share"] == "computations" and len(facts[gain]["chain"]["fit"]["sharing"]) == 3
        card = (folder / "release" / "README.md").read_text()
        assert all(note in card for note in facts[gain]["notes"])
        steps = rows(folder, "steps")
        own = {(row["solution_id"], row["step_index"]): row["rollouts"] for row in steps}
        made = Counter((row["solution_id"], row["step_index"]) for row in rows(folder, "rollouts")
                       if row["origin"] == "prefix" and row["solution_id"] and row["verdict"] != "undecided")
        assert all(own[key] == count for key, count in made.items())
        assert all(row["q"] == row["successes"] / row["rollouts"] for row in steps if row["rollouts"])
    assert facts[1e9]["chain"]["spread"] is None and facts[-1e9]["chain"]["spread"] in fit.SPREADS
    assert "do not inform each other" in facts[1e9]["notes"][1]
    assert f"{facts[-1e9]['chain']['spread']} in log odds" in facts[-1e9]["notes"][1]
    assert {row["q_model"] for row in steps} != {row["q_model"] for row in rows(run, "steps")}


def test_without_a_pilot_nothing_is_said_of_what_it_showed():
    facts = search_facts(Annotate(policy="tiny", search="adaptive", pilot=0), 0, {})
    assert facts["share"] == "computations" and not any("other words" in note for note in facts["notes"])


def test_where_no_model_fits_steps_are_scanned_and_manifest_and_card_say_so(run, tmp_path, monkeypatch):
    """No real model fails on so few problems; the comparison is made to. All rollouts of the pilot count."""
    folder = shutil.copytree(run, tmp_path / "run")
    monkeypatch.setattr(fit, "by_depth", lambda halves: [fit.Depth(0, 0, 100, 90, 50.0, 9.0)])
    changed = {**ADAPTIVE, "annotate": {**ADAPTIVE["annotate"], "pilot": 4, "best_of": 2}}
    assert "annotate" in execute(changed, folder)
    search = search_of(folder)
    assert search["chain"]["fit"]["verdict"] == "none" and search["chain"]["pilot_problems"] == 4
    card = (folder / "release" / "README.md").read_text()
    assert len(search["notes"]) == 2 and all(note in card for note in search["notes"])
    assert "scanned from left to right" in search["notes"][0] and "best of 2 tries" in search["notes"][1]
    assert "`q_low` and `q_high` bound the value" in search["notes"][1]
    steps = rows(folder, "steps")
    assert all(row["q_model"] is None and row["pit_probability"] is None for row in steps)
    assert sum(row["is_pit"] for row in steps) > 0
    made = Counter((row["solution_id"], row["step_index"]) for row in rows(folder, "rollouts")
                   if row["origin"] == "prefix" and row["solution_id"] and row["verdict"] != "undecided")
    counted = {(row["solution_id"], row["step_index"]): row["rollouts"] for row in steps}
    assert all(counted[key] >= count for key, count in made.items())
