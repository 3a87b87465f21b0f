"""From an option of a recipe, by its name there, to the rows that it makes: every option of `release` and `annotate`.

Release options act on a world whose right rows are known (helpers/world.py); options of annotate on solutions whose
rollouts are scripted and judged by the real verifier. Options that are tested elsewhere are named with the place.
"""

import asyncio
import math
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import get_args

import duckdb
import pytest
from datatrove.data import Document
from helpers.pools import one_pool, open_pool  # noqa: F401
from helpers.world import RECIPE, published, write_world

from stepforge.builders.configs import CONFIGS
from stepforge.builders.parquet import write_rows
from stepforge.pipelines.answers import Verifier
from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.credit.tree import Node
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import build
from stepforge.pipelines.stages.annotate import annotate_problem
from stepforge.pipelines.stages.annotate.problem import Problem
from stepforge.pipelines.stages.build import options as release_options

pytestmark = pytest.mark.usefixtures("one_pool")


def ids(rows, column="solution_id"):
    return sorted(row[column] for row in rows)


def of(solution_id, column):
    return lambda rows: next(row[column] for row in rows if row["solution_id"] == solution_id)


def modes(rows):
    return {row["mode"]: row["chosen"] for row in rows}


def rejected(rows):
    return sorted({row["rejected_id"] for row in rows})


def ratio(rows):
    first, second = of("w", "weights")(rows)
    return round(math.log(first / second), 6)


def pairs_of_w(rows):
    return {row["rule"]: row["chosen_id"] for row in rows if row["rejected_id"] == "w"}


RELEASE = [  # config, what is looked at, what it is by default, and under which options what else
    ("positives", ids, ["c", "k", "s", "u"], [
        ({"unsound_positives": "drop"}, ["c", "k", "s"]), ({"spurious_positives": "drop"}, ["k", "s", "u"]),
        ({"spurious_positives": "drop", "spurious_below": -0.8}, ["c", "k", "s", "u"]),
        ({"max_positives_per_problem": 3}, ["c", "k", "s"]),
        ({"max_positives_per_problem": 1, "choose_positives": "least_spurious"}, ["c"]),
        ({"max_behind_answer": 2}, ["c", "k", "s", "u"]), ({"max_behind_answer": 1}, ["c", "k", "u"]),
        ({"max_positives_per_problem": 9, "rollout_positives": True}, ["c", "k", "r", "s", "u"]),
        ({"rollout_positives": True}, ["c", "k", "s", "u"]), ({"max_solution_tokens": 1}, ["k"]),
        ({"max_positives_per_problem": 9, "rollout_positives": True, "max_solution_tokens": 1}, ["k"]),
        ({"max_positives_per_problem": 9, "rollout_negatives": True}, ["c", "k", "s", "u"])]),
    ("positives", of("c", "spurious_share"), 0.4, [
        ({"spurious_positives": "keep"}, None), ({"spurious_below": -0.8}, 0.0)]),
    ("positives", lambda rows: tuple(of("s", column)(rows) for column in ("completion", "behind_answer", "complete")),
     ("ssss\nt\n7", 2, None), [
        ({"max_behind_answer": 1, "text_behind_answer": "keep"}, ("ssss\nt\n7", 2, None)),
        ({"max_behind_answer": 1, "text_behind_answer": "cut"}, ("ssss\nt", 0, True)),
        ({"max_behind_answer": 2, "text_behind_answer": "cut"}, ("ssss\nt\n7", 2, None))]),
    ("negatives", ids, ["n", "v", "w", "zn"], [
        ({"keep_truncated": True}, ["n", "t", "v", "w", "zn"]), ({"max_negatives_per_problem": 2}, ["v", "w", "zn"]),
        ({"rollout_negatives": True}, ["n", "rw", "v", "w", "zn"]),
        ({"rollout_positives": True}, ["n", "v", "w", "zn"]),
        ({"rollout_negatives": True, "max_negatives_per_problem": 3}, ["n", "v", "w", "zn"]),
        ({"rollout_negatives": True, "max_solution_tokens": 1}, ["zn"]),
        ({"max_solution_tokens": 5}, ["n", "v", "w", "zn"]),
        ({"max_solution_tokens": 4}, ["v", "w", "zn"])]),
    ("unpaired", lambda rows: {row["solution_id"]: (row["completion"], row["label"], row["origin"], row["complete"])
                               for row in rows if row["solution_id"].startswith("r")}, {}, [
        ({"rollout_negatives": True}, {"rw": ("a\nq\n6", False, "rollout", True)}),
        ({"max_positives_per_problem": 9, "rollout_positives": True}, {"r": ("a\nq\n7", True, "rollout", True)})]),
    ("stepwise", ids, ["c", "v", "w"], [({"max_solution_tokens": 1}, [])]),
    ("weighted", ids, ["c", "v", "w"], [({"max_solution_tokens": 1}, [])]),
    ("pairs", rejected, ["w"], [
        ({"pair_negatives": "all"}, ["n", "v", "w"]), ({"min_pit_drop": 0.5}, ["w"]), ({"min_pit_drop": 0.51}, []),
        ({"pair_negatives": "all", "rollout_negatives": True}, ["n", "v", "w"]),
        ({"pair_negatives": "all", "max_solution_tokens": 2}, ["v", "w"]),
        ({"pair_negatives": "all", "max_pairs_per_problem": 1}, ["w"]), ({"max_length_ratio": 1.2}, ["w"])]),
    ("pairs", lambda rows: {row["chosen_generator"] == row["rejected_generator"] for row in rows}, {True}, [
        ({"pair_negatives": "all"}, {True}),
        ({"pair_negatives": "all", "max_positives_per_problem": 2}, {True, False})]),
    ("positives", lambda rows: (of("s", "soundness")(rows), of("s", "checked_by")(rows)), ("sound", "j"), []),
    ("pairs", pairs_of_w, {"random": "c", "max_edit_distance": "u"}, [
        ({"max_length_ratio": 1.2}, {"random": "c", "max_edit_distance": "c"})]),
    ("step_pairs", modes, {"full_vs_truncated": "a\nb\n7", "shared_prefix": "b\n"}, [
        ({"pair_margin": 0.75}, {"full_vs_truncated": "a\nb\n7", "shared_prefix": "b\n"}),
        ({"pair_margin": 0.76}, {"full_vs_truncated": "a\nb\n7", "shared_prefix": "2 + 2 = 5\n"}),
        ({"pair_margin": 0.76, "unsound_positives": "drop"}, {"full_vs_truncated": "a\nb\n7"}),
        ({"min_pit_drop": 0.51}, {}),
        ({"max_length_ratio": 1.2}, {"full_vs_truncated": "a\nb\n7", "shared_prefix": "b\n"}),
        ({"consensus": True}, {})]),
    ("stepwise", ids, ["c", "v", "w"], [({"consensus": True}, [])]),  # the judge read s alone; see test_consensus.py
    ("stepwise", of("w", "labels"), [True, None, False], [
        ({"false_below": 0.4}, [True, False, False]), ({"labels": "threshold"}, [True, False, False]),
        ({"labels": "threshold", "label_threshold": 0.8}, [False, False, False]),
        ({"labels": "first_zero"}, [True, False, None])]),
    ("stepwise", of("v", "prompt"), "weak: p?\n", []),  # of the policy that continued it, not of its writer
    ("stepwise", of("w", "values"), [0.75, 0.0, 0.0], [({"values": "model"}, [0.25, 0.5, 0.75])]),
    ("weighted", of("w", "ends"), [2, 4], [({"after_pit": "keep"}, [2, 4, 5])]),
    ("weighted", of("v", "completion"), "v\n", [({"after_pit": "keep"}, "v\ny\n9")]),
    ("weighted", ratio, 2.0, [
        ({"weight_beta": 1.0}, 1.0), ({"weight_max": math.exp(0.25)}, 1.75), ({"values": "model"}, 0.0)]),
    ("rl", lambda rows: {row["problem_id"]: (row["prompt"], row["pass_rate"], row["n_samples"]) for row in rows},
     {"p": ("weak: p?\n", 5 / 9, 9), "z": ("weak: z?\n", 0.0, 1)}, [
        ({"pass_rate": [0.1, 0.9]}, {"p": ("weak: p?\n", 5 / 9, 9)}),
        ({"pass_rate": [5 / 9, 1.0]}, {"p": ("weak: p?\n", 5 / 9, 9)}),
        ({"pass_rate": [0.1, 5 / 9]}, {"p": ("weak: p?\n", 5 / 9, 9)}),
        ({"pass_rate": [0.0, 0.1]}, {"z": ("weak: z?\n", 0.0, 1)}),
        ({"rl_generator": "strong"}, {"p": ("strong: p?\n", 1 / 3, 3), "z": ("strong: z?\n", 0.0, 1)})]),
]
RELEASE_ELSEWHERE = {
    "configs": "builders/configs/test_records.py", "shards": "test_buckets.py", "splits": "builders/test_release.py",
    "to": "cards/test_publish_*.py", "version": "cards/test_publish_*.py", "private": "cards/test_publish_hub.py",
    "checkpoint": "pipelines/test_checkpoint.py", "checkpoint_minutes": "pipelines/test_checkpoint.py",
    "license": "cards/test_dataset_card.py", "keep_splits": "pipelines/stages/test_kept_splits.py",
    "allow_failed": "pipelines/test_plan.py"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize(("config", "look", "default", "changed"), RELEASE)
def test_an_option_of_release_makes_these_rows(world, tmp_path, config, look, default, changed):
    assert look(published(world, tmp_path, config)) == default
    for release, expected in changed:
        assert look(published(world, tmp_path, config, **release)) == expected, release


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


def bounds(model):
    """Every option with bounds or words to choose from, at each of them."""
    for name, field in model.model_fields.items():
        yield from ((name, word) for word in get_args(field.annotation) if isinstance(word, str))
        for kind, inside in (("ge", 0), ("gt", 1e-9), ("le", 0), ("lt", -1e-9)):
            yield from ((name, getattr(bound, kind) + inside) for bound in field.metadata if hasattr(bound, kind))


@pytest.mark.parametrize("search", ["exhaustive", "scan", "bisect", "adaptive"])
def test_what_a_recipe_takes_for_annotate_the_engine_takes(verifier, search):
    for name, value in bounds(Annotate):
        refused = ("pit_tolerance", 0) if search in ("adaptive", "auto") else ()
        if name == "search" or (name, value) in (("rollouts", 10_000), refused):
            continue
        steps, _, _ = annotated(verifier, **{"search": search, name: value})
        assert "".join(row["step"] for row in steps["w"]) == TEXTS["w"], (name, value)


@pytest.mark.parametrize("end", [0, -1])
def test_what_a_recipe_takes_for_release_the_engine_takes(world, tmp_path, end):
    ends = defaultdict(list)
    for name, value in bounds(ReleaseOptions):
        ends[name].append(value)
    chosen = {name: values[end] for name, values in ends.items()}
    assert chosen["weight_beta"] == 0.01 and len(chosen) > 10
    assert all(isinstance(published(world, tmp_path, config, **chosen), list) for config in CONFIGS)


def test_rl_under_verls_names_holds_the_same_tasks(world, tmp_path):
    rows = {row["problem_id"]: row for row in published(world, tmp_path, "rl_verl")}
    assert {name: (row["extra_info"]["index"], row["reward_model"]["ground_truth"], row["prompt"][0]["content"])
            for name, row in rows.items()} == {"p": (0, "7", "weak: p?"), "z": (1, "1", "weak: z?")}


def test_statements_read_the_policys_options():
    annotate = {"policy": "weak", "best_of": 3, "rollouts": 8}
    recipe = Recipe.model_validate({
        "name": "r", "problems": [{"source": "arithmetic"}], "annotate": annotate,
        "release": {"pass_rate": [0.1, 0.9]},
        "generators": [{"name": name, "engine": "embedded"} for name in ("weak", "strong")]})
    read = release_options(recipe)
    assert (read["best_of"], read["policy"], read["rl_prompt"]) == (3, "weak", "weak")
    assert (read["least_pass_rate"], read["most_pass_rate"]) == (0.1, 0.9)
    strong = recipe.model_copy(update={"release": ReleaseOptions(rl_generator="strong")})
    assert release_options(strong)["rl_prompt"] == "strong"


def test_seed_and_options_of_a_release_make_it_another_and_its_place_does_not():
    def settings(**changes):
        return build.settings(Recipe.model_validate(RECIPE | changes))

    assert len({str(settings()), str(settings(seed=1)), str(settings(release={"weight_max": 3.0})),
                str(settings(generators=[{**g, "prompt": "Q: {{ problem }}"} for g in RECIPE["generators"]]))}) == 4
    assert settings(release={"to": "local:elsewhere", "version": "2.0.0", "allow_failed": True}) == settings()


def test_only_correct_solutions_are_measured_behind_their_answer():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE solutions (solution_id VARCHAR, solution VARCHAR)")
        connection.execute("CREATE TABLE verdicts (solution_id VARCHAR, verdict VARCHAR)")
        for name, text, verdict in (("right", "\\boxed{7}\nAnd", "correct"), ("wrong", "\\boxed{8}\nAnd", "incorrect"),
                                    ("short", "\\boxed{7}", "correct")):
            connection.execute("INSERT INTO solutions VALUES (?, ?)", [name, text])
            connection.execute("INSERT INTO verdicts VALUES (?, ?)", [name, verdict])
        assert list(build.tails(connection)) == [{"solution_id": "right", "behind": 4, "runs_on": False}]


@pytest.mark.parametrize(("option", "completion"), [("drop", None), ("cut", "ssss\nt"), ("keep", "ssss\nt\n7")])
def test_a_further_problem_is_never_left_alone(world, tmp_path, option, completion):
    tails = tmp_path / "tails.parquet"
    write_rows(tails, [{"solution_id": "s", "behind": 2, "runs_on": True}], build.TAILS)
    rows = published(world | {"tails": tails}, tmp_path, "positives", text_behind_answer=option)
    assert [row["completion"] for row in rows if row["solution_id"] == "s"] == [completion] * (completion is not None)


def test_every_option_stands_in_the_table_or_is_tested_elsewhere():
    for table, elsewhere, model in ((RELEASE, RELEASE_ELSEWHERE, ReleaseOptions),
                                    (ANNOTATE, ANNOTATE_ELSEWHERE, Annotate)):
        named = {name for *_, changed in table for options, _ in changed for name in options}
        assert named | set(elsewhere) == set(model.model_fields)
        assert not named & set(elsewhere)
