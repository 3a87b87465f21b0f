"""From an option of `release`, by its name in a recipe, to the rows that it makes.

They act on a world whose right rows are known (helpers/world.py). Options that are tested elsewhere are named with the
place.
"""

import math
from collections import defaultdict

import duckdb
import pytest
from helpers.options import bounds, named
from helpers.pools import one_pool, open_pool  # noqa: F401
from helpers.world import RECIPE, published, write_world

from stepforge.builders.configs import CONFIGS
from stepforge.builders.parquet import write_rows
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import build
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
    assert named(RELEASE) | set(RELEASE_ELSEWHERE) == set(ReleaseOptions.model_fields)
    assert not named(RELEASE) & set(RELEASE_ELSEWHERE)
