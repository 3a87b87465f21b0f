"""Every config from tables small enough to check by eye.

Problem p has a correct solution c ("a\\nb\\n7"), a twin of it, and an incorrect one w ("a\\nx\\n8"), lost at step 1.
"""

import math

import pyarrow as pa
import pytest

from stepforge.builders.configs import CONFIGS, account_for, build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.credit.advantages import clopper_pearson
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.stages.build import LAID_OUT, TAILS

PROMPTS = pa.schema([pa.field(n, pa.string()) for n in ("generator", "problem_id", "prompt", "split")])
PROMPT = {"generator": "g", "problem_id": "p", "prompt": "P?\n", "split": "train"}
OPTIONS = ReleaseOptions().model_dump(exclude=LAID_OUT) | {
    "seed": "0", "policy": "g", "best_of": 1, "rl_prompt": "g", "least_pass_rate": None, "most_pass_rate": None}
TEXT = {"c": "a\nb\n7", "twin": "a\nb\n7", "w": "a\nx\n8", "cut": "a\nx", "odd": "?"}
VERDICT = {"c": "correct", "twin": "correct", "w": "incorrect", "cut": "incorrect", "odd": "undecided"}


def filled(table, **values):
    return {name: values.get(name) for name in TABLES[table].schema.names}


def steps_of(solution_id, successes):
    """Rows of `steps`, 4 rollouts each, V of the bare problem 0.5; the last step is worth its verdict."""
    before, start = 0.5, 0
    for index, (text, won) in enumerate(zip(TEXT[solution_id].splitlines(keepends=True), successes, strict=True)):
        q = float(solution_id == "c") if won is None else won / 4
        low, high = (q, q) if won is None else clopper_pearson(won, 4)
        yield filled("steps", solution_id=solution_id, problem_id="p", step_index=index, step=text, start=start,
                     end=start + len(text), splitter="newline", rollouts=0 if won is None else 4,
                     successes=won or 0, q=q, q_low=low, q_high=high, advantage=q - before, estimator="fixed_n",
                     is_pit=solution_id == "w" and index == 1,
                     fall_low=0.5 if solution_id == "w" and index == 1 else None)
        before, start = q, start + len(text)


def tables():
    return {
        "problems": [filled("problems", problem_id="p", problem="P?", answer="7", source="files", source_id="1",
                            split="train", group_id="g", license="MIT")],
        "solutions": [filled("solutions", solution_id=i, problem_id="p", generator="g", generator_id="gid",
                             sample_index=n, solution=text, finish_reason="stop", complete=i != "cut")
                      for n, (i, text) in enumerate(TEXT.items())],
        "verdicts": [filled("verdicts", solution_id=i, verdict=v, method="numeric", soundness="undecided")
                     for i, v in VERDICT.items()],
        "judgements": [],
        "steps": [*steps_of("c", [4, 4, None]), *steps_of("w", [3, 0, None])],
        "duplicates": [{"solution_id": "twin", "survivor_id": "c", "reason": "text"}],
        "rollouts": [filled("rollouts", rollout_id="r", problem_id="p", step_index=0, index=0, policy="gid",
                            origin="prefix", token_exact=True, seed=1, completion="b\n7",
                            finish_reason="stop", verdict="correct")],
        "alternatives": [filled("alternatives", alternative_id=step, problem_id="p", solution_id="w", step_index=1,
                                step=step, complete=False, taken_from="r", sound=True, rollouts=4,
                                successes=int(4 * q), q=q)
                         for step, q in (("b\n", 1.0), ("bb\n", 0.5))],
    }


@pytest.fixture
def build(tmp_path):
    def built(config, tables=tables, account=False, **changes):
        paths = {name: tmp_path / "in" / f"{name}.parquet" for name in [*tables(), "prompts", "tails"]}
        for name, found in tables().items():
            write_rows(paths[name], found, TABLES[name].schema)
        write_rows(paths["prompts"], [PROMPT], PROMPTS)
        write_rows(paths["tails"], [], TAILS)
        given = ([config], paths, OPTIONS | changes, tmp_path / "out", "256MiB")
        if account:
            return account_for(*given)
        build_configs(*given)
        return list(read_rows(tmp_path / "out" / f"{config}.parquet"))

    return built


def test_better_step_with_a_false_equation_comes_last_is_flagged_or_dropped(build):
    def steps_found_wrong(*wrong):
        found = tables()
        for row in found["alternatives"]:
            row["sound"] = row["step"] not in wrong
        return found

    def chosen(wrong, **changes):
        return [(row["chosen"], row["chosen_soundness"], row["chosen_checked_by"])
                for row in build("step_pairs", lambda: steps_found_wrong(*wrong), **changes)
                if row["mode"] == "shared_prefix"]

    assert chosen([]) == [("b\n", "unchecked", None)]
    assert chosen(["b\n"]) == [("bb\n", "unchecked", None)], "the one not found wrong, though its value is lower"
    assert chosen(["b\n", "bb\n"]) == [("b\n", "unsound", "equations")]
    assert chosen(["b\n", "bb\n"], unsound_positives="drop") == []


def test_positives_leave_out_duplicates_and_negatives_leave_out_truncated_and_undecided(build):
    assert [row["solution_id"] for row in build("positives")] == ["c"]
    assert [(row["solution_id"], row["pit"], row["pit_index"], row["fall_low"]) for row in build("negatives")] == [
        ("w", "found", 1, 0.5)]
    assert [row["solution_id"] for row in build("negatives", keep_truncated=True)] == ["cut", "w"]


def test_solution_of_unknown_end_that_states_an_answer_stays_and_says_so(build):
    def unknown():
        return {name: [row | {"complete": None} if name == "solutions" and row["complete"] else row for row in found]
                for name, found in tables().items()}

    for config, solution in (("positives", "c"), ("negatives", "w")):
        assert [(row["solution_id"], row["complete"]) for row in build(config, unknown)] == [(solution, None)]
        assert len(build(f"{config}_chat", unknown)) == 1
    assert build("step_pairs", unknown) == build("step_pairs")
    assert build("pairs_chat", unknown) == build("pairs_chat") != []


@pytest.mark.parametrize(("equations", "judge", "by"), [
    ("unsound", None, "equations"), ("undecided", "unsound", "j"), ("unsound", "sound", "equations"),
    ("unsound", "unsound", "equations")])
def test_positive_that_equations_or_a_judge_found_wrong_is_flagged_or_dropped(build, equations, judge, by):
    def judged():
        found = tables()
        found["verdicts"][0] |= {"soundness": equations, "judged_by": "equations"}
        if judge:
            found["judgements"] = [filled("judgements", solution_id="c", soundness=judge, sampled=True, first_error=1,
                                          steps=3, votes_sound=0, votes_unsound=1, votes_undecided=0, judge="j",
                                          judge_id="j", prompt_tokens=1, completion_tokens=1)]
        return found

    assert [(row["soundness"], row["checked_by"]) for row in build("positives", judged)] == [("unsound", by)]
    assert {(row["chosen_soundness"], row["chosen_checked_by"]) for row in build("pairs", judged)} == {("unsound", by)}
    assert {row["mode"]: row["chosen_soundness"] for row in build("step_pairs", judged)} == {
        "full_vs_truncated": "unsound", "shared_prefix": "unchecked"}
    for config in ("unpaired", "stepwise", "weighted"):
        assert {row["solution_id"]: (row["soundness"], row["checked_by"]) for row in build(config, judged)} == {
            "c": ("unsound", by), "w": ("unchecked", None)}
    for config in ("positives", "pairs"):
        assert build(config, judged, unsound_positives="drop") == []
    for config in ("stepwise", "weighted"):
        assert [row["solution_id"] for row in build(config, judged, unsound_positives="drop")] == ["w"]
        assert build(config, judged, account=True, unsound_positives="drop").excluded == {config: {"unsound": 1}}
    assert {row["mode"] for row in build("step_pairs", judged, unsound_positives="drop")} == {"shared_prefix"}
    row = next(row for row in build("solutions", judged) if row["solution_id"] == "c")
    assert (row["soundness"], row["judge_soundness"]) == (equations, judge), "neither is written over the other"


def test_unpaired_labels_both_sides(build):
    assert {row["solution_id"]: row["label"] for row in build("unpaired")} == {"c": True, "w": False}


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


def test_pairs_below_margin_or_without_a_fall_are_left_out(build):
    assert {row["mode"] for row in build("step_pairs", pair_margin=1.1)} == {"full_vs_truncated"}
    assert {row["mode"] for row in build("step_pairs", min_pit_drop=0.5)} == {"full_vs_truncated", "shared_prefix"}
    assert build("step_pairs", min_pit_drop=0.51) == build("pairs", min_pit_drop=0.51) == []
    assert len(build("pairs", min_pit_drop=0.51, pair_negatives="all")) == 2


def test_stepwise_labels_say_whether_the_answer_is_within_reach(build):
    rows = {row["solution_id"]: row for row in build("stepwise")}
    assert rows["w"]["completions"] == ["a\n", "x\n", "8"]
    assert rows["w"]["labels"] == [True, None, False] and rows["w"]["values"] == [0.75, 0.0, 0.0]
    assert (rows["w"]["rollouts"], rows["w"]["successes"]) == ([4, 4, 0], [3, 0, 0])
    assert rows["c"]["labels"] == [True, True, True]


def with_more(successes=(4, 2, None), **texts):
    """The tables with the steps of c valued anew, and further incorrect solutions that nobody annotated."""
    def changed():
        found = tables()
        found["steps"] = [*steps_of("c", list(successes)), *steps_of("w", [3, 0, None])]
        for number, (name, text) in enumerate(texts.items()):
            found["solutions"].append(filled("solutions", solution_id=name, problem_id="p", generator="g",
                                             generator_id="gid", sample_index=9 + number, solution=text,
                                             finish_reason="stop", complete=True))
            found["verdicts"].append(filled("verdicts", solution_id=name, method="numeric", soundness="undecided",
                                            verdict="correct" if text.endswith("7") else "incorrect"))
        return found

    return changed


def test_a_step_of_a_positive_that_lowers_the_value_is_spurious(build):
    assert {(row["solution_id"], row["step_index"]): row["spurious"] for row in build("steps", with_more())} == {
        ("c", 0): False, ("c", 1): True, ("c", 2): False, ("w", 0): None, ("w", 1): None, ("w", 2): None}
    (row,) = build("positives", with_more())
    assert row["spurious_share"] == pytest.approx(2 / 5)
    assert build("positives", with_more(), spurious_positives="keep")[0]["spurious_share"] is None
    assert build("positives", with_more(), spurious_positives="drop") == []
    assert build("positives", with_more(), spurious_positives="drop", spurious_below=-0.6)


def test_positives_with_the_least_spurious_content_come_first_and_unknown_ones_last(build):
    def two_annotated(better):
        def changed():
            found = with_more((4, 2, None), **{f"other{i}": f"{i}\n7" for i in range(6)})()
            found["steps"] += [row | {"solution_id": "other3", "advantage": 0.1 if better else -0.9}
                               for row in found["steps"] if row["solution_id"] == "c"]
            return found

        return changed

    for better, first in ((True, "other3"), (False, "c")):
        rows = build("positives", two_annotated(better), choose_positives="least_spurious",
                     max_positives_per_problem=1)
        assert [row["solution_id"] for row in rows] == [first]


def test_rollouts_fill_up_the_positives_marked_and_are_no_samples(build):
    def rolled():
        found = tables()
        found["rollouts"] = [
            filled("rollouts", rollout_id=name, problem_id="p", solution_id=solution_id, step_index=step, index=0,
                   policy="gid", origin=origin, token_exact=True, seed=1, completion=text,
                   finish_reason="stop", verdict=verdict)
            for name, solution_id, step, origin, text, verdict in (
                ("new", "w", 0, "prefix", "bb\n7", "correct"), ("same as new", "w", 0, "prefix", "bb\n7", "correct"),
                ("says what c says", "w", 0, "prefix", "b\n7", "correct"),
                ("recovered", "w", 1, "prefix", "no, 7", "correct"), ("bare", None, -1, "prefix", "7", "correct"),
                ("other step", "w", 0, "alternative", "q\n7", "correct"),
                ("wrong", "w", 0, "prefix", "9", "incorrect"))]
        return found

    assert [row["origin"] for row in build("positives", rolled)] == ["sample"]
    rows = {row["solution_id"]: row for row in build("positives", rolled, rollout_positives=True)}
    assert {name: (row["completion"], row["origin"]) for name, row in rows.items()} == {
        "c": (TEXT["c"], "sample"), "new": ("a\nbb\n7", "rollout"), "bare": ("7", "rollout")}
    capped = build("positives", rolled, rollout_positives=True, max_positives_per_problem=1)
    assert [row["origin"] for row in capped] == ["sample"]
    assert len(build("solutions", rolled, rollout_positives=True)) == len(TEXT)
    (problem,) = build("problems", rolled, rollout_positives=True)
    assert problem["generators"][0]["n_samples"] == 4


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
    for ratio, found in ((None, {"c", "long"}), (2.0, {"c"})):
        rows = build("pairs", more, max_length_ratio=ratio)
        assert {row["chosen_id"] for row in rows if row["rule"] == "max_edit_distance"} <= found
        assert len(rows) == 2
    assert build("pairs", more, max_length_ratio=2.0)[0]["chosen_id"] == "c"
    (pair,) = [r for r in build("step_pairs", more, max_length_ratio=2.0) if r["mode"] == "full_vs_truncated"]
    assert pair["chosen_id"] == "c"
    assert [r for r in build("step_pairs", more, max_length_ratio=1.0) if r["mode"] == "shared_prefix"]
    (step,) = [r for r in build("step_pairs", more, max_length_ratio=1.0) if r["mode"] == "shared_prefix"]
    assert (step["chosen"], step["rejected"]) == ("b\n", "x\n")


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
        found = tables()
        for row in found["steps"]:
            if (row["solution_id"], row["step_index"]) in places:
                row |= {"q": None, "q_low": 0.0, "q_high": 1.0, "rollouts": 0, "successes": 0, "advantage": None}
            row |= {"q_model": 0.5, "advantage_model": -0.25}
        return found

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
    ([3, 0, 0, 0], {"false_below": 0.90, "best_of": 2}, [True, False, False, False, False]),
    ([3, 1, 0, 0], {"labels": "threshold"}, [True, False, False, False, False]),
    ([1, 3, 0, 0], {"labels": "threshold"}, [True, True, False, False, False]),
    ([1, 3, 0, 0], {"labels": "threshold", "label_threshold": 0.8}, [False] * 5),
    ([3, 0, 1, 0], {"labels": "first_zero"}, [True, False, None, None, None]),
    ([3, 1, 1, 1], {"labels": "first_zero"}, [True, True, True, True, False]),
])
def test_labels_follow_the_evidence_under_each_rule(build, won, options, labels):
    def five_steps():
        found = tables()
        found["solutions"][2]["solution"] = "1\n2\n3\n4\n5"
        k = options.get("best_of", 1)
        found["steps"] = [
            filled("steps", solution_id="w", problem_id="p", step_index=index, step=f"{index + 1}", start=2 * index,
                   end=2 * index + 1, splitter="newline", rollouts=0 if hits is None else 4, successes=hits or 0,
                   q=(hits or 0) / 4,
                   q_low=0.0, q_high=0.0 if hits is None else 1 - (1 - clopper_pearson(hits, 4)[1]) ** k,
                   estimator="fixed_n", is_pit=False)
            for index, hits in enumerate([*won, None])]
        return found

    (row,) = build("stepwise", five_steps, **options)
    assert row["labels"] == labels


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


@pytest.mark.parametrize(("config", "options", "left_out"), [
    ("positives", {}, {"duplicate": 1}), ("negatives", {}, {"truncated": 1}),
    ("negatives", {"keep_truncated": True}, {}),
    ("negatives", {"max_solution_tokens": 1}, {"too_long": 1, "truncated": 1}),
    ("positives", {"max_solution_tokens": 1}, {"duplicate": 1, "too_long": 1}),
    ("stepwise", {"max_solution_tokens": 1}, {"too_long": 2}),
    ("weighted", {"max_solution_tokens": 1}, {"too_long": 2}),
    ("pairs", {"rollout_negatives": True}, {}),
    ("pairs", {}, {}), ("pairs", {"min_pit_drop": 0.6}, {"no_pit": 2}), ("pairs", {"max_length_ratio": 1.0}, {}),
    ("pairs", {"keep_truncated": True}, {"no_pit": 2}),
    ("step_pairs", {}, {}), ("step_pairs", {"min_pit_drop": 0.6}, {"no_pit": 2}),
    ("step_pairs", {"pair_margin": 1.0}, {}),
    ("stepwise", {}, {}), ("weighted", {}, {}), ("weighted", {"values": "model"}, {"no_advantage": 2}),
    ("rl", {}, {}), ("rl", {"least_pass_rate": 0.6, "most_pass_rate": 1.0}, {"pass_rate": 1}),
])
def test_what_a_config_leaves_out_is_counted_by_reason(build, config, options, left_out):
    assert build(config, account=True, **options).excluded.get(config, {}) == left_out


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
    assert left.excluded == ({} if ends else {"weighted": {"never_reached": 1}}) and set(left.weights) == places
    kept = build("weighted", no_pit, account=True, after_pit="keep")
    assert kept.excluded == {} and set(kept.weights) == places | {"unreached"}


def test_a_problem_whose_answer_cannot_be_read_is_no_task(build):
    def unreadable():
        found = tables()
        for row in found["verdicts"]:
            row |= {"verdict": "undecided", "reason": "gold_unparseable"}
        return found

    assert build("rl", unreadable) == []
    assert build("rl", unreadable, account=True).excluded == {"rl": {"gold_unparseable": 1}}


def test_a_time_out_is_no_sample_of_a_pass_rate(build):
    def late():
        found = tables()
        found["verdicts"][4] |= {"verdict": "undecided", "reason": "timeout"}
        return found

    assert [(row["n_samples"], row["pass_rate"]) for row in build("rl", late)] == [(4, 0.5)]
    (problem,) = build("problems", late)
    assert problem["generators"][0]["n_samples"] == 4


def test_shares_of_weight_by_place_are_told(build):
    weights = build("weighted", account=True, after_pit="keep").weights
    raw = {"correct": math.exp(1) + 2, "before": math.exp(0.5), "pit": math.exp(-1.5), "behind": 1}
    assert weights == pytest.approx({place: w / sum(raw.values()) for place, w in raw.items()})


def test_negatives_of_a_problem_take_its_positives_in_turn_and_a_cap_leaves_the_later_ones_out(build):
    def two_lost():
        found = with_more((4, 4, None), k="k\n7", z="a\nx\n8")()
        found["steps"] += [row | {"solution_id": "z"} for row in found["steps"] if row["solution_id"] == "w"]
        found["alternatives"] = []
        return found

    rows = build("step_pairs", two_lost)
    assert [row["rejected_id"] for row in rows] == ["w", "z"] and {row["chosen_id"] for row in rows} == {"c", "k"}
    assert [row["rejected_id"] for row in build("step_pairs", two_lost, max_pairs_per_problem=1)] == ["w"]
    assert build("step_pairs", two_lost, account=True, max_pairs_per_problem=1).excluded == {
        "step_pairs": {"cap": 2, "no_better_step": 1}}
