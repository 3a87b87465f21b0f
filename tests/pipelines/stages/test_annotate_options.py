"""From an option of `annotate`, by its name in a recipe, to the rows that it makes.

They act on solutions whose rollouts are scripted and judged by the real verifier. Options that are tested elsewhere
are named with the place.
"""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest
from datatrove.data import Document
from helpers.options import bounds, named
from helpers.pools import one_pool, open_pool  # noqa: F401

from stepforge.pipelines.answers import Verifier
from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.credit.tree import Node
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.annotate import annotate_problem
from stepforge.pipelines.stages.annotate.problem import Problem

pytestmark = pytest.mark.usefixtures("one_pool")

# Problem: the answer is 7. Of eight rollouts from each prefix so many end in it, by the prefix's last step.
WON = {"": 6, "a\n": 7, "b\n": 5, "x\n": 0, "d\n": 6, "e\n": 0, "y\n": 1}
TEXTS = {"c": "a\nb\n7", "w": "a\nx\ny\n8", "v": "d\ne\nd\n9"}


def annotated(verifier, texts=TEXTS, **annotate):
    """Rows of steps by solution, and of rollouts and alternatives, under these options of `annotate`."""
    recipe = Recipe.model_validate({
        "name": "world", "problems": [{"source": "arithmetic"}],
        "generators": [{"name": "weak", "engine": "embedded", "samples": 1, "prompt": "P{{ problem }}:"}],
        "annotate": {"policy": "weak", "rollouts": 8, **annotate}})
    made = Counter()

    async def generate(request):
        prefix = request.payload["prompt"].removeprefix("P:")
        last = "".join(prefix.splitlines(keepends=True)[-1:])
        number = made[prefix]
        made[prefix] += 1
        right = number % 8 < WON.get(last, 4)
        return [Completion(f"z{number % 2}\n7" if right else "0", "stop", 3, 7, None)]

    row = {"problem_id": "p", "problem": "", "answer": "7", "base_successes": 6, "base_rollouts": 8, "position": 0,
           "pilot": False, "typical_length": 8.0,
           "solutions": [{"solution_id": name, "solution": text, "correct": name == "c", "completion_ids": None,
                          "soundness": None, "first_error": None} for name, text in texts.items()]}
    policy = Policy(recipe.generators[0], "weak", 0, verifier, asyncio.Lock())
    out = asyncio.run(annotate_problem(Document("", "p", metadata=row), generate, policy=policy,
                                       settings=recipe.annotate.searched_by(1), chain=None, no_model_fits=False))
    by_solution: dict = {name: [] for name in texts}
    for step in out["steps"]:
        by_solution[step["solution_id"]].append(step)
    return by_solution, out["rollouts"], out["alternatives"]


def counts(name):
    return lambda steps, rollouts, alternatives: [row["rollouts"] for row in steps[name]]


def pit(name):
    return lambda steps, rollouts, alternatives: next((r["step_index"] for r in steps[name] if r["is_pit"]), None)


def values(name):
    return lambda steps, rollouts, alternatives: [round(row["q"], 3) for row in steps[name]]


def texts(name):
    return lambda steps, rollouts, alternatives: [row["step"] for row in steps[name]]


def alternatives_of(steps, rollouts, alternatives):
    return sorted((row["solution_id"], row["step"], row["rollouts"]) for row in alternatives)


ANNOTATE = [
    (counts("w"), [8, 8, 8, 0], [
        ({"rollouts": 4}, [4, 4, 4, 0]), ({"search": "scan"}, [8, 8, 0, 0]), ({"search": "bisect"}, [8, 8, 0, 0]),
        ({"token_budget": 3}, [8, 8, 8, 0])]),
    (counts("w"), [8, 8, 8, 0], [({"search": "scan", "token_budget": 1}, [8, 0, 0, 0])]),
    (counts("v"), [8, 16, 16, 0], []),  # a later step tells against the pit, so both are visited again
    (counts("c"), [8, 8, 0], [({"search": "scan"}, [8, 0, 0])]),
    (pit("w"), 1, [({"pit": "zero_success"}, 1), ({"pit": "largest_drop"}, 1), ({"pit_fall": 0.6}, None),
                   ({"pit_tolerance": 0.9}, None)]),
    (pit("v"), None, []),
    (values("w"), [0.875, 0.0, 0.125, 0.0], [({"best_of": 2}, [1.0, 0.0, 0.25, 0.0])]),
    (texts("w"), ["a\n", "x\n", "y\n", "8"], [({"max_steps": 2}, ["a\nx\n", "y\n8"]),
                                               ({"splitter": "blank_line"}, ["a\nx\ny\n8"])]),
    (lambda steps, rollouts, alternatives: {row["splitter"] for row in steps["w"]}, {"newline"}, [
        ({"splitter": "path"}, {"path"}), ({"max_steps": 2}, {"newline"})]),
    (alternatives_of, [("w", "z0\n", 8), ("w", "z1\n", 8)], [({"alternatives_per_pit": 1}, [("w", "z0\n", 8)]),
                                                            ({"alternatives_per_pit": 0}, []),
                                                            ({"alternatives_per_pit": 9}, [("w", "z0\n", 8),
                                                                                          ("w", "z1\n", 8)])]),
    (lambda steps, rollouts, alternatives: {row["sound"] for row in alternatives}, {True}, []),
    (lambda steps, rollouts, alternatives: [(row["start"], row["end"]) for row in steps["w"]],
     [(0, 2), (2, 4), (4, 6), (6, 7)], []),
]
ANNOTATE_ELSEWHERE = {
    "policy": "test_run.py", "pilot": "test_pilot.py", "evidence": "test_pilot.py", "share": "test_pilot.py",
    "passing": "test_passing.py",
    "value_model": "test_step_scores.py", "value_revision": "test_step_scores.py", "value_cut": "test_evidence.py",
    "negatives_per_problem": "test_run.py", "positives_per_problem": "test_run.py"}


@pytest.fixture(scope="module")
def verifier():
    with Verifier() as opened:
        yield opened


@pytest.mark.parametrize(("look", "default", "changed"), ANNOTATE)
def test_an_option_of_annotate_makes_these_rows(verifier, look, default, changed):
    assert look(*annotated(verifier)) == default
    for annotate, expected in changed:
        assert look(*annotated(verifier, **annotate)) == expected, annotate


def test_a_pit_at_the_first_step_takes_its_alternatives_from_correct_solutions(verifier):
    _, _, alternatives = annotated(verifier, {"c": TEXTS["c"], "w": "e\n8"})
    assert [(row["solution_id"], row["step"], row["taken_from"]) for row in alternatives] == [("w", "a\n", "c")]


def test_an_alternative_with_a_false_equation_is_not_sound(verifier):
    _, _, alternatives = annotated(verifier, {"c": "2 + 2 = 5\n7", "w": "e\n8"})
    assert [(row["step"], row["sound"]) for row in alternatives] == [("2 + 2 = 5\n", False)]


@pytest.mark.parametrize(("by_model", "expected"), [(None, 0.25), (-0.7, 0.7), (-0.1, 0.25), (0.2, 0.25)])
def test_a_fall_is_the_larger_one_of_what_counts_and_the_model_say(by_model, expected):
    """4 of 8 rollouts succeed before the last step of an incorrect solution: .25 is the 5% quantile of Beta(5, 5)."""
    path = [Node("s", -1, 1.0, None, 8, 4), Node("s", 0, 1.0, 0.0)]
    value = StepValue(0, 0, 0.0, 0.0, 0.0, -0.5, -1.0, 0.0, "fixed_n", advantage_model_high=by_model)
    problem, search = SimpleNamespace(settings=Annotate(policy="p")), SimpleNamespace(
        tree=SimpleNamespace(paths={"s": path}))
    assert Problem._fall(problem, search, "s", 0, value) == pytest.approx(expected, abs=0.01)


def test_a_fall_must_be_larger_than_the_least(verifier):
    (pit,) = [step for step in annotated(verifier, pit_fall=0.3)[0]["w"] if step["is_pit"]]
    again = annotated(verifier, pit_fall=pit["fall_low"])[0]["w"][pit["step_index"]]
    assert (again["is_pit"], again["fall_low"]) == (False, pit["fall_low"])


@pytest.mark.parametrize("search", ["exhaustive", "scan", "bisect", "adaptive"])
def test_what_a_recipe_takes_for_annotate_the_engine_takes(verifier, search):
    for name, value in bounds(Annotate):
        refused = ("pit_tolerance", 0) if search in ("adaptive", "auto") else ()
        if name == "search" or (name, value) in (("rollouts", 10_000), refused):
            continue
        steps, _, _ = annotated(verifier, **{"search": search, name: value})
        assert "".join(row["step"] for row in steps["w"]) == TEXTS["w"], (name, value)


def test_every_option_stands_in_the_table_or_is_tested_elsewhere():
    assert named(ANNOTATE) | set(ANNOTATE_ELSEWHERE) == set(Annotate.model_fields)
    assert not named(ANNOTATE) & set(ANNOTATE_ELSEWHERE)
