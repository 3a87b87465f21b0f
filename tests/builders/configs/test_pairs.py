"""Pairs and step pairs, from tests/helpers/small_release.py."""

import pytest
from helpers.small_release import TEXT, tables, with_more


def test_better_step_with_a_false_equation_comes_last_is_flagged_or_dropped(build):
    def steps_found_wrong(*wrong):
        data = tables()
        for row in data["alternatives"]:
            row["sound"] = row["step"] not in wrong
        return data

    def chosen(wrong, **changes):
        return [(row["chosen"], row["chosen_soundness"], row["chosen_checked_by"])
                for row in build("step_pairs", lambda: steps_found_wrong(*wrong), **changes)
                if row["mode"] == "shared_prefix"]

    assert chosen([]) == [("b\n", "unchecked", None)]
    assert chosen(["b\n"]) == [("bb\n", "unchecked", None)], "the one not found wrong, though its value is lower"
    assert chosen(["b\n", "bb\n"]) == [("b\n", "unsound", "equations")]
    assert chosen(["b\n", "bb\n"], unsound_positives="drop") == []


def test_each_negative_is_paired_once_by_each_rule(build):
    pairs = build("pairs")
    assert sorted((row["rule"], row["chosen"], row["rejected"]) for row in pairs) == [
        ("max_edit_distance", TEXT["c"], TEXT["w"]), ("random", TEXT["c"], TEXT["w"])]


def test_full_vs_truncated_cuts_behind_the_pit_and_wants_no_end_of_text_there(build):
    (pair,) = [row for row in build("step_pairs") if row["mode"] == "full_vs_truncated"]
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("P?\n", "a\nb\n7", "a\nx\n")
    assert (pair["chosen_complete"], pair["rejected_complete"]) == (True, False)
    assert (pair["q_chosen"], pair["q_rejected"], pair["pit_index"]) == (1.0, 0.0, 1)


def test_shared_prefix_sets_the_best_step_against_the_pit(build):
    (pair,) = [row for row in build("step_pairs") if row["mode"] == "shared_prefix"]
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("P?\na\n", "b\n", "x\n")
    assert not pair["chosen_complete"] and not pair["rejected_complete"]
    assert (pair["q_chosen"], pair["q_rejected"]) == (1.0, 0.0)


def test_a_better_first_step_of_another_sample_names_it_and_its_generator(build):
    def taken():
        data = tables()
        data["solutions"][0]["generator"] = "other"
        return data | {"alternatives": [row | {"taken_from": "c"} for row in data["alternatives"]]}

    def sources(of):
        return [(row["chosen_id"], row["chosen_generator"]) for row in build("step_pairs", of)
                if row["mode"] == "shared_prefix"]

    (own,), other = sources(tables), sources(taken)
    assert own[0] is None and other == [("c", "other")]


def test_pairs_below_margin_or_without_a_fall_are_left_out(build):
    assert {row["mode"] for row in build("step_pairs", pair_margin=1.1)} == {"full_vs_truncated"}
    assert {row["mode"] for row in build("step_pairs", min_pit_drop=0.5)} == {"full_vs_truncated", "shared_prefix"}
    assert build("step_pairs", min_pit_drop=0.51) == build("pairs", min_pit_drop=0.51) == []
    assert len(build("pairs", min_pit_drop=0.51, pair_negatives="all")) == 2


def test_all_kinds_of_pairs_are_built_from_the_same_negatives(build):
    more = with_more((4, 4, None), **{f"n{i}": f"{i}" for i in range(5)})
    controls = {rule: {row["rejected_id"] for row in build("pairs", more) if row["rule"] == rule}
                for rule in ("random", "max_edit_distance")}
    steps = {row["rejected_id"] for row in build("step_pairs", more) if row["mode"] == "full_vs_truncated"}
    assert controls["random"] == controls["max_edit_distance"] == steps == {"w"}
    everything = build("pairs", more, pair_negatives="all")
    assert {row["rejected_id"] for row in everything} == {"w", "n0", "n1", "n2", "n3", "n4"}
    assert {row["rejected_id"] for row in build("step_pairs", more, pair_negatives="all")} == {"w"}


def test_a_cap_takes_the_same_negatives_for_all_kinds_of_pairs(build):
    more = with_more((4, 4, None), **{f"n{i}": f"{i}" for i in range(5)})
    capped = {"pair_negatives": "all", "max_pairs_per_problem": 2}
    chosen = [{row["rejected_id"] for row in build("pairs", more, **capped) if row["rule"] == rule}
              for rule in ("random", "max_edit_distance")]
    assert chosen[0] == chosen[1] and len(chosen[0]) == 2 and "w" in chosen[0]


def test_pairs_of_unlike_length_can_be_left_out(build):
    more = with_more((4, 4, None), long="so\n" * 20 + "7")
    for ratio, allowed in ((None, {"c", "long"}), (2.0, {"c"})):
        rows = build("pairs", more, max_length_ratio=ratio)
        assert {row["chosen_id"] for row in rows if row["rule"] == "max_edit_distance"} <= allowed
        assert len(rows) == 2
    assert build("pairs", more, max_length_ratio=2.0)[0]["chosen_id"] == "c"
    (pair,) = [r for r in build("step_pairs", more, max_length_ratio=2.0) if r["mode"] == "full_vs_truncated"]
    assert pair["chosen_id"] == "c"
    assert [r for r in build("step_pairs", more, max_length_ratio=1.0) if r["mode"] == "shared_prefix"]
    (step,) = [r for r in build("step_pairs", more, max_length_ratio=1.0) if r["mode"] == "shared_prefix"]
    assert (step["chosen"], step["rejected"]) == ("b\n", "x\n")


def test_negatives_of_a_problem_take_its_positives_in_turn_and_a_cap_leaves_the_later_ones_out(build):
    def two_lost():
        data = with_more((4, 4, None), k="k\n7", z="a\nx\n8")()
        data["steps"] += [row | {"solution_id": "z"} for row in data["steps"] if row["solution_id"] == "w"]
        data["alternatives"] = []
        return data

    rows = build("step_pairs", two_lost)
    assert [row["rejected_id"] for row in rows] == ["w", "z"] and {row["chosen_id"] for row in rows} == {"c", "k"}
    assert [row["rejected_id"] for row in build("step_pairs", two_lost, max_pairs_per_problem=1)] == ["w"]
    assert build(("pairs", "step_pairs"), two_lost, account=True, max_pairs_per_problem=1).excluded == {
        "pairs": {"cap": 2}, "step_pairs": {"cap": 2, "no_better_step": 1}}


def test_negatives_that_begin_alike_up_to_the_pit_give_one_step_pair(build):
    def two_alike():
        data = with_more((4, 4, None), z="a\nx\n9", y="a\ny\n9")()
        steps = [row for row in data["steps"] if row["solution_id"] == "w"]
        data["steps"] += [row | {"solution_id": name, "step": row["step"].replace("x", "y" if name == "y" else "x")}
                          for name in "zy" for row in steps]
        data["alternatives"] += [row | {"alternative_id": f"{row['alternative_id']}{name}", "solution_id": name}
                                 for name in "zy" for row in data["alternatives"]]
        return data

    rows = build("step_pairs", two_alike)
    assert sorted((row["rejected_id"], row["mode"]) for row in rows) == [
        (name, mode) for name in "wy" for mode in ("full_vs_truncated", "shared_prefix")]
    assert len({(row["prompt"], row["chosen"], row["rejected"]) for row in rows}) == 4
    assert build("step_pairs", two_alike, account=True).excluded == {"step_pairs": {"duplicate": 2}}


@pytest.mark.parametrize("complete", [True, False])
def test_a_negative_that_was_cut_off_at_its_pit_wants_no_end_of_text(build, complete):
    def lost_at_the_end():
        data = tables()
        data["solutions"][2]["complete"] = complete
        for row in data["steps"]:
            row["is_pit"] = (row["solution_id"], row["step_index"]) == ("w", 2)
            row["fall_low"] = 0.5 if row["is_pit"] else None
        return data | {"alternatives": [row | {"step_index": 2} for row in data["alternatives"]]}

    rows = build(("pairs", "step_pairs"), lost_at_the_end, keep_truncated=True)
    assert {(row["chosen_complete"], row["rejected_complete"]) for row in rows["pairs"]} == {(True, complete)}
    assert {row["mode"]: row["rejected_complete"] for row in rows["step_pairs"]} == {
        "full_vs_truncated": complete, "shared_prefix": complete}


@pytest.mark.parametrize("complete", [True, None, False])
def test_a_better_step_that_ends_a_cut_off_solution_wants_no_end_of_text(build, complete):
    def taken_from_c():
        data = tables()
        for row in data["solutions"]:
            row["complete"] = complete if row["solution_id"] == "c" else True
        return data | {"alternatives": [row | {"taken_from": "c", "complete": True} for row in data["alternatives"]]}

    rows = build("step_pairs", taken_from_c)
    assert [row["chosen_complete"] for row in rows if row["mode"] == "shared_prefix"] == [complete is not False]
