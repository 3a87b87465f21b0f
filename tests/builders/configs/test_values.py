"""Labels, spurious steps and weights, from tests/helpers/small_release.py."""

import math
import random

import pyarrow as pa
import pytest
from helpers.small_release import TEXT, filled, steps_of, tables, with_more

from stepforge.builders.configs.weighted import settle_weights
from stepforge.builders.sql import open_duckdb
from stepforge.pipelines.credit.advantages import clopper_pearson


def test_stepwise_labels_say_whether_the_answer_is_within_reach(build):
    rows = {row["solution_id"]: row for row in build("stepwise")}
    assert rows["w"]["completions"] == ["a\n", "x\n", "8"]
    assert rows["w"]["labels"] == [True, None, False] and rows["w"]["values"] == [0.75, 0.0, 0.0]
    assert (rows["w"]["rollouts"], rows["w"]["successes"]) == ([4, 4, 0], [3, 0, 0])
    assert rows["c"]["labels"] == [True, True, True]


def test_a_step_of_a_positive_that_lowers_the_value_is_spurious(build):
    assert {(row["solution_id"], row["step_index"]): row["spurious"] for row in build("steps", with_more())} == {
        ("c", 0): False, ("c", 1): True, ("c", 2): False, ("w", 0): None, ("w", 1): None, ("w", 2): None}
    (row,) = build("positives", with_more())
    assert row["spurious_share"] == pytest.approx(2 / 5)
    assert build("positives", with_more(), spurious_positives="keep")[0]["spurious_share"] is None
    assert build("positives", with_more(), spurious_positives="drop") == []
    assert build("positives", with_more(), spurious_positives="drop", spurious_below=-0.5), "a loss of .5 is not below"


@pytest.mark.parametrize(("by_model", "spurious"), [(0.1, False), (-0.9, True), (None, True)])
def test_the_model_says_what_is_spurious_where_it_knows_more_than_the_counts(build, by_model, spurious):
    def with_estimates():
        data = with_more()()
        for step in data["steps"]:
            if (step["solution_id"], step["step_index"]) == ("c", 1):
                step["advantage_model"] = by_model
        return data

    (row,) = [row for row in build("steps", with_estimates) if (row["solution_id"], row["step_index"]) == ("c", 1)]
    assert row["spurious"] is spurious


def test_weights_are_exponential_in_the_advantage_with_mean_one(build):
    rows = {row["solution_id"]: row for row in build("weighted")}
    raw = {"c": [math.exp(1), 1, 1], "w": [math.exp(0.5), math.exp(-1.5)]}
    for solution_id, weights in raw.items():
        assert rows[solution_id]["weights"] == pytest.approx([w * 5 / sum(raw["c"] + raw["w"]) for w in weights])
    assert (rows["w"]["ends"], rows["w"]["completion"], rows["w"]["complete"]) == ([2, 4], "a\nx\n", False)
    whole = {row["solution_id"]: row for row in build("weighted", after_pit="keep")}["w"]
    assert (whole["ends"], whole["completion"], whole["complete"]) == ([2, 4, 5], TEXT["w"], True)
    assert whole["weights"] == pytest.approx([w * 6 / sum([1, *raw["c"], *raw["w"]]) for w in [*raw["w"], 1]])


def test_a_step_without_rollouts_is_masked_and_its_solution_stays(build):
    def unknown(*places):
        data = tables()
        for row in data["steps"]:
            if (row["solution_id"], row["step_index"]) in places:
                row |= {"q": None, "q_low": 0.0, "q_high": 1.0, "rollouts": 0, "successes": 0, "advantage": None}
            row |= {"q_model": 0.5, "advantage_model": -0.25}
        return data

    some = lambda: unknown(("w", 0), ("c", 1))  # noqa: E731
    rows = {row["solution_id"]: row for row in build("stepwise", some)}
    assert rows["w"]["labels"] == [None, None, False] and rows["w"]["values"] == [None, 0.0, 0.0]
    assert rows["c"]["labels"] == [True, True, True] and rows["c"]["values"] == [1.0, None, 1.0]
    assert {tuple(row["values"]) for row in build("stepwise", some, values="model")} == {(0.5, 0.5, 0.5)}
    rows = {row["solution_id"]: row["weights"] for row in build("weighted", some)}
    assert rows["w"][0] is None and rows["w"][1] and rows["c"][1] is None and rows["c"][0] and rows["c"][2]
    assert {w for row in build("weighted", some, values="model") for w in row["weights"]} == {1.0}
    nothing = lambda: unknown(*(("w", step) for step in range(3)))  # noqa: E731
    assert [row["solution_id"] for row in build("weighted", nothing)] == ["c"]


@pytest.mark.parametrize(("won", "options", "labels"), [
    ([3, 0, 1, 0], {}, [True, True, True, None, False]),
    ([3, 0, 0, 0], {}, [True, None, None, None, False]),
    ([3, 0, 0, 0], {"false_below": 0.61}, [True, False, False, False, False]),
    ([3, 0, 0, 0], {"false_below": 0.61, "best_of": 2}, [True, False, False, False, False]),
    ([3, 1, 0, 0], {"labels": "threshold"}, [True, False, False, False, False]),
    ([1, 3, 0, 0], {"labels": "threshold"}, [True, True, False, False, False]),
    ([1, 3, 0, 0], {"labels": "threshold", "label_threshold": 0.8}, [False] * 5),
    ([3, 0, 1, 0], {"labels": "first_zero"}, [True, False, None, None, None]),
    ([3, 1, 1, 1], {"labels": "first_zero"}, [True, True, True, True, False]),
])
def test_labels_follow_the_evidence_under_each_rule(build, won, options, labels):
    def five_steps():
        data = tables()
        data["solutions"][2]["solution"] = "1\n2\n3\n4\n5"
        k = options.get("best_of", 1)
        data["steps"] = [
            filled("steps", solution_id="w", problem_id="p", step_index=index, step=f"{index + 1}", start=2 * index,
                   end=2 * index + 1, splitter="newline", rollouts=0 if hits is None else 4, successes=hits or 0,
                   q=(hits or 0) / 4,
                   q_low=0.0, q_high=0.0 if hits is None else 1 - (1 - clopper_pearson(hits, 4)[1]) ** k,
                   estimator="fixed_n", passing_rollouts=0, passing_successes=0, is_pit=False)
            for index, hits in enumerate([*won, None])]
        return data

    (row,) = build("stepwise", five_steps, **options)
    assert row["labels"] == labels


def test_every_step_of_a_correct_solution_without_a_zero_is_true(build):
    rows = {row["solution_id"]: row["labels"] for row in build("stepwise", labels="first_zero")}
    assert rows == {"c": [True, True, True], "w": [True, False, None]}


@pytest.mark.parametrize(("won", "ends", "places"), [
    ((3, 0, None), [2], {"correct", "reached"}), ((3, 1, None), [2, 4], {"correct", "reached"}),
    ((0, 1, None), [2, 4], {"correct", "reached"}), ((0, 0, None), None, {"correct"})])
def test_a_negative_without_a_pit_weighs_to_the_last_step_from_which_the_answer_was_reached(build, won, ends, places):
    def no_pit():
        lost = [row | {"is_pit": False, "fall_low": 0.01} for row in steps_of("w", won)]
        return tables() | {"steps": [*steps_of("c", [4, 4, None]), *lost]}

    rows = {row["solution_id"]: row for row in build("weighted", no_pit)}
    assert rows["c"]["ends"] == [2, 4, 5]
    assert (rows["w"]["ends"] if ends else rows.get("w")) == ends
    assert not ends or (rows["w"]["completion"], rows["w"]["complete"]) == (TEXT["w"][:ends[-1]], False)
    left = build("weighted", no_pit, account=True)
    assert left.excluded == {"weighted": {} if ends else {"never_reached": 1}} and set(left.weights) == places
    kept = build("weighted", no_pit, account=True, after_pit="keep")
    assert kept.excluded == {"weighted": {}} and set(kept.weights) == places | {"unreached"}


@pytest.mark.parametrize(("won", "after_pit", "reason"), [
    ((0, 0, None), "drop", "never_reached"), ((0, 0, None), "keep", "no_advantage"),
    ((3, 0, None), "drop", "no_advantage")])
def test_why_a_negative_without_a_pit_has_no_weights(build, won, after_pit, reason):
    def unknown():
        lost = [row | {"is_pit": False, "fall_low": None, "advantage": None} for row in steps_of("w", won)]
        return tables() | {"steps": [*steps_of("c", [4, 4, None]), *lost]}

    assert build("weighted", unknown, account=True, after_pit=after_pit).excluded == {"weighted": {reason: 1}}


def test_shares_of_weight_by_place_are_told(build):
    weights = build("weighted", account=True, after_pit="keep").weights
    raw = {"correct": math.exp(1) + 2, "before": math.exp(0.5), "pit": math.exp(-1.5), "behind": 1}
    assert weights == pytest.approx({place: w / sum(raw.values()) for place, w in raw.items()})


def test_the_mean_weight_is_summed_in_the_order_of_steps_to_the_last_digit(tmp_path):
    """As DuckDB's ordered average has it, however the rows lie; adding them as they lie gives other digits."""
    draw = random.Random(0)
    steps = [(f"{n // 5:05d}", n % 5, "ab"[n % 2], draw.expovariate(1)) for n in range(9_000)] + [("x", 0, "a", None)]
    draw.shuffle(steps)
    with open_duckdb("256MiB", tmp_path) as connection:
        names = ("solution_id", "step_index", "place", "raw")
        rows = pa.table(dict(zip(names, map(list, zip(*steps, strict=True)), strict=True)))
        connection.register("weighed", rows)
        shares = settle_weights(connection)
        (mean,), (ordered,) = (connection.execute(f"SELECT {sql} FROM weighed LIMIT 1").fetchone() for sql in (
            "getvariable('mean_weight')", "avg(raw ORDER BY solution_id, step_index) OVER ()"))
        assert mean == ordered != sum(raw for *_, raw in steps if raw is not None) / 9_000
        assert list(shares) == ["a", "b"] and sum(shares.values()) == pytest.approx(1)
        inside = sum(raw for *_, place, raw in steps if place == "a" and raw is not None)
        assert shares["a"] == pytest.approx(inside / mean / 9_000)
    with open_duckdb("256MiB", tmp_path) as connection:
        connection.register("weighed", rows.slice(0, 0))
        assert settle_weights(connection) == {}
