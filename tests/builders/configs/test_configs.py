"""Solutions, positives, negatives, problems and what is left out, from tests/helpers/small_release.py."""


import pytest
from helpers.small_release import OPTIONS, TEXT, filled, steps_of, tables, with_more

from stepforge.builders.configs import CONFIGS, build_configs


def test_positives_leave_out_duplicates_and_negatives_leave_out_truncated_and_undecided(build):
    assert [row["solution_id"] for row in build("positives")] == ["c"]
    assert [(row["solution_id"], row["pit"], row["pit_index"], row["fall_low"]) for row in build("negatives")] == [
        ("w", "found", 1, 0.5)]
    assert [row["solution_id"] for row in build("negatives", keep_truncated=True)] == ["cut", "w"]


def test_a_correct_solution_that_was_cut_stays_and_says_so(build):
    def cut():
        data = tables()
        data["verdicts"][3]["verdict"] = "correct"
        return data

    rows = build(("positives", "positives_chat"), cut)
    assert {row["solution_id"]: row["complete"] for row in rows["positives"]} == {"c": True, "cut": False}
    assert [row["solution_id"] for row in rows["positives_chat"]] == ["c"]


@pytest.mark.parametrize(("fall", "pit"), [(0.01, "doubtful"), (None, "none")])
def test_a_negative_without_a_pit_says_whether_one_was_in_doubt(build, fall, pit):
    def no_pit():
        lost = [row | {"is_pit": False, "fall_low": fall if row["step_index"] == 1 else None}
                for row in steps_of("w", [3, 0, None])]
        return tables() | {"steps": lost}

    (row,) = build("negatives", no_pit)
    assert (row["pit"], row["pit_index"], row["fall_low"]) == (pit, None, None)


@pytest.mark.parametrize("seed", "01234")
def test_an_unsound_positive_comes_last_whatever_the_draw(build, seed):
    def unsound():
        data = with_more((4, 4, None), k="k\n7")()
        data["verdicts"][0]["soundness"] = "unsound"
        return data

    assert [row["solution_id"] for row in build("positives", unsound, seed=seed, max_positives_per_problem=1)] == ["k"]


def test_solution_of_unknown_end_that_states_an_answer_stays_and_says_so(build):
    def unknown():
        return {name: [row | {"complete": None} if name == "solutions" and row["complete"] else row for row in table]
                for name, table in tables().items()}

    names = ("positives", "negatives", "positives_chat", "negatives_chat", "step_pairs", "pairs_chat")
    known, open_ended = build(names), build(names, unknown)
    for config, solution in (("positives", "c"), ("negatives", "w")):
        assert [(row["solution_id"], row["complete"]) for row in open_ended[config]] == [(solution, None)]
        assert len(open_ended[f"{config}_chat"]) == 1
    assert open_ended["step_pairs"] == known["step_pairs"]
    assert open_ended["pairs_chat"] == known["pairs_chat"] != []


@pytest.mark.parametrize(("equations", "judge", "by"), [
    ("unsound", None, "equations"), ("undecided", "unsound", "j"), ("unsound", "sound", "equations"),
    ("unsound", "unsound", "equations")])
def test_positive_that_equations_or_a_judge_found_wrong_is_flagged_or_dropped(build, equations, judge, by):
    def judged():
        data = tables()
        data["verdicts"][0] |= {"soundness": equations, "judged_by": "equations"}
        if judge:
            data["judgements"] = [filled("judgements", solution_id="c", soundness=judge, sampled=True, first_error=1,
                                         steps=3, votes_sound=0, votes_unsound=1, votes_undecided=0, judge="j",
                                         judge_id="j", prompt_tokens=1, completion_tokens=1)]
        return data

    flagged = build(("positives", "pairs", "step_pairs", "unpaired", "stepwise", "weighted", "solutions"), judged)
    assert [(row["soundness"], row["checked_by"]) for row in flagged["positives"]] == [("unsound", by)]
    assert {(row["chosen_soundness"], row["chosen_checked_by"]) for row in flagged["pairs"]} == {("unsound", by)}
    assert {row["mode"]: row["chosen_soundness"] for row in flagged["step_pairs"]} == {
        "full_vs_truncated": "unsound", "shared_prefix": "unchecked"}
    for config in ("unpaired", "stepwise", "weighted"):
        assert {row["solution_id"]: (row["soundness"], row["checked_by"]) for row in flagged[config]} == {
            "c": ("unsound", by), "w": ("unchecked", None)}
    row = next(row for row in flagged["solutions"] if row["solution_id"] == "c")
    assert (row["soundness"], row["judge_soundness"]) == (equations, judge), "neither is written over the other"
    strict = build(("positives", "pairs", "step_pairs", "stepwise", "weighted"), judged, unsound_positives="drop")
    assert strict["positives"] == [] == strict["pairs"]
    for config in ("stepwise", "weighted"):
        assert [row["solution_id"] for row in strict[config]] == ["w"]
    assert {row["mode"] for row in strict["step_pairs"]} == {"shared_prefix"}
    excluded = build(("stepwise", "weighted"), judged, account=True, unsound_positives="drop").excluded
    assert excluded == {"stepwise": {"unsound": 1}, "weighted": {"unsound": 1}}


def test_unpaired_labels_both_sides(build):
    assert {row["solution_id"]: row["label"] for row in build("unpaired")} == {"c": True, "w": False}


def test_positives_with_the_least_spurious_content_come_first_and_unknown_ones_last(build):
    def two_annotated(better):
        def changed():
            data = with_more((4, 2, None), **{f"other{i}": f"{i}\n7" for i in range(6)})()
            data["steps"] += [row | {"solution_id": "other3", "advantage": 0.1 if better else -0.9}
                              for row in data["steps"] if row["solution_id"] == "c"]
            return data

        return changed

    for better, first in ((True, "other3"), (False, "c")):
        rows = build("positives", two_annotated(better), choose_positives="least_spurious",
                     max_positives_per_problem=1)
        assert [row["solution_id"] for row in rows] == [first]


def test_rollouts_fill_up_the_positives_marked_and_are_no_samples(build):
    def rolled():
        data = tables()
        data["rollouts"] = [
            filled("rollouts", rollout_id=name, problem_id="p", solution_id=solution_id, step_index=step, index=0,
                   policy="gid", origin=origin, token_exact=True, seed=1, passed=0, completion=text,
                   finish_reason="stop", verdict=verdict)
            for name, solution_id, step, origin, text, verdict in (
                ("new", "w", 0, "prefix", "bb\n7", "correct"), ("same as new", "w", 0, "prefix", "bb\n7", "correct"),
                ("says what c says", "w", 0, "prefix", "b\n7", "correct"),
                ("recovered", "w", 1, "prefix", "no, 7", "correct"), ("bare", None, -1, "prefix", "7", "correct"),
                ("other step", "w", 0, "alternative", "q\n7", "correct"),
                ("wrong", "w", 0, "prefix", "9", "incorrect"))]
        return data

    assert [row["origin"] for row in build("positives", rolled)] == ["sample"]
    rows = {row["solution_id"]: row for row in build("positives", rolled, rollout_positives=True)}
    assert {name: (row["completion"], row["origin"]) for name, row in rows.items()} == {
        "c": (TEXT["c"], "sample"), "new": ("a\nbb\n7", "rollout"), "bare": ("7", "rollout")}
    capped = build("positives", rolled, rollout_positives=True, max_positives_per_problem=1)
    assert [row["origin"] for row in capped] == ["sample"]
    assert len(build("solutions", rolled, rollout_positives=True)) == len(TEXT)
    (problem,) = build("problems", rolled, rollout_positives=True)
    assert problem["generators"][0]["n_samples"] == 4


@pytest.mark.parametrize(("successes", "begun"), [((3, 0, None), [0]), ((0, 3, None), [0, 1]), ((0, 0, None), [])])
def test_rollouts_of_a_negative_without_a_pit_begin_where_the_answer_was_still_reached(build, successes, begun):
    def rolled():
        data = tables()
        data["steps"] = [*steps_of("c", [4, 0, None]), *(row | {"is_pit": False} for row in steps_of("w", successes))]
        data["rollouts"] = [
            filled("rollouts", rollout_id=f"{name}{step}", problem_id="p", solution_id=name, step_index=step, index=0,
                   policy="gid", origin="prefix", token_exact=True, seed=1, passed=0, completion=f"{name}{step}\n9",
                   finish_reason="stop", verdict="incorrect") for name, step in (("c", 1), ("w", 0), ("w", 1))]
        return data

    rows = [row for row in build("negatives", rolled, rollout_negatives=True) if row["origin"] == "rollout"]
    assert sorted(row["solution_id"] for row in rows) == ["c1", *(f"w{step}" for step in begun)]
    left = build(("pairs", "step_pairs"), rolled, account=True, rollout_negatives=True).excluded
    assert left == {"pairs": {"no_pit": 2}, "step_pairs": {"no_pit": 2}}, "a rollout gives no pairs, and lacks none"


def test_chat_configs_hold_the_same_as_messages_of_finished_turns(build):
    (pair, _) = build("pairs_chat")
    assert pair["prompt"] == [{"role": "user", "content": "P?"}]
    assert pair["chosen"] == [{"role": "assistant", "content": TEXT["c"]}]
    assert pair["rejected"] == [{"role": "assistant", "content": TEXT["w"]}]
    assert [row["solution_id"] for row in build("negatives_chat", keep_truncated=True)] == ["w"]
    assert {row["solution_id"]: row["label"] for row in build("unpaired_chat")} == {"c": True, "w": False}


def test_problems_count_samples_before_deduplication_without_undecided_ones(build):
    (row,) = build("problems")
    assert row["generators"] == [{"generator": "g", "n_samples": 4, "n_correct": 2, "pass_rate": 0.5}]


def test_solutions_hold_every_sample(build):
    assert {row["solution_id"]: row["duplicate"] for row in build("solutions")} == {
        "c": False, "twin": True, "w": False, "cut": False, "odd": False}


def test_every_config_builds(tmp_path, build):
    build("rl")
    paths = {path.stem: path for path in (tmp_path / "in").iterdir()}
    counts = build_configs(CONFIGS, paths, OPTIONS, tmp_path / "all", "256MiB")
    assert set(counts) == set(CONFIGS) and all(counts.values())


@pytest.mark.parametrize(("options", "left_out"), [
    ({}, {"positives": {"duplicate": 1}, "negatives": {"truncated": 1}, "pairs": {}, "step_pairs": {}, "stepwise": {},
          "weighted": {}, "rl": {}, "unpaired": {"duplicate": 1, "truncated": 1}, "positives_chat": {"duplicate": 1}}),
    ({"keep_truncated": True}, {"negatives": {}, "pairs": {"no_pit": 2}, "negatives_chat": {"incomplete": 1},
                                "unpaired_chat": {"duplicate": 1, "incomplete": 1}}),
    ({"max_solution_tokens": 1}, {"negatives": {"too_long": 1, "truncated": 1},
                                  "positives": {"duplicate": 1, "too_long": 1}, "stepwise": {"too_long": 2},
                                  "weighted": {"too_long": 2}}),
    ({"max_length_ratio": 1.0}, {"pairs": {}}),
    ({"min_pit_drop": 0.6}, {"pairs": {"no_pit": 2}, "step_pairs": {"no_pit": 2}}),
    ({"pair_margin": 1.0}, {"step_pairs": {}}), ({"values": "model"}, {"weighted": {"no_advantage": 2}}),
    ({"least_pass_rate": 0.6, "most_pass_rate": 1.0}, {"rl": {"pass_rate": 1}, "rl_verl": {"pass_rate": 1}}),
])
def test_what_configs_leave_out_is_counted_by_reason(build, options, left_out):
    excluded = build(tuple(left_out), account=True, **options).excluded
    assert excluded == left_out


def test_a_problem_whose_answer_cannot_be_read_is_no_task(build):
    def unreadable():
        data = tables()
        for row in data["verdicts"]:
            row |= {"verdict": "undecided", "reason": "gold_unparseable"}
        return data

    assert build("rl", unreadable) == []
    assert build("rl", unreadable, account=True).excluded == {"rl": {"gold_unparseable": 1}}


def test_a_time_out_is_no_sample_of_a_pass_rate(build):
    def late():
        data = tables()
        data["verdicts"][4] |= {"verdict": "undecided", "reason": "timeout"}
        return data

    assert [(row["n_samples"], row["pass_rate"]) for row in build("rl", late)] == [(4, 0.5)]
    (problem,) = build("problems", late)
    assert problem["generators"][0]["n_samples"] == 4
