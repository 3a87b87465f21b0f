"""A sound release has no problems; each way of being unsound is found and named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.releases import COLUMNS

from stepforge.builders.release import read_manifest, write_manifest
from stepforge.cards.check import check, check_folder
from stepforge.cards.publish import publish


def test_a_sound_release_has_no_problems(make_release: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_release(chat=True)
    assert check(str(folder)) == []
    assert check(str(make_release("few", only=("pairs", "solutions", "problems")))) == []
    publish(folder, f"local:{tmp_path / 'out'}", "1.0.0")
    assert check(f"local:{tmp_path / 'out'}@v1.0.0") == []


def other(split: str) -> str:
    return "test" if split == "train" else "train"


def set_value(config: str, row: int, column: str, value: object) -> Callable[[dict], None]:
    return lambda rows: rows[config][row].__setitem__(column, value)


# Each change spoils the rows of another problem, so that none hides another: what it does, what is found in a config
# (null: in several), and in how many cases. Two solutions with another verdict have labels that differ, too.
SPOILT = [
    (lambda rows: rows["pairs"][0].update(split=other(rows["pairs"][0]["split"])), "a problem is in more", None, 1),
    (lambda rows: [row.update(group_id="one") for row in rows["problems"]], "a group of problems", "problems", 1),
    (lambda rows: rows["problems"].pop(), "not among the problems", "pairs", 1),
    (lambda rows: rows["solutions"].pop(), "not among the solutions", "negatives", 1),
    (set_value("solutions", 2, "verdict", "undecided"), "undecided", "positives", 1),
    (set_value("solutions", 4, "verdict", "incorrect"), "another verdict", "pairs", 1),
    (set_value("unpaired", 6, "label", False), "label differs", "unpaired", 3),
    (lambda rows: rows["unpaired"][9].update({text: rows["unpaired"][8][text] for text in ("prompt", "completion")}),
     "both labels", "unpaired", 1),
    (lambda rows: rows.update(rl=[{"problem_id": row["problem_id"], "prompt": "How many?", "answer": row["answer"],
                                   "split": row["split"]} for row in rows["problems"]]), "several answers", "rl", 1),
    (lambda rows: rows["pairs"][5].update(rejected=rows["pairs"][5]["chosen"]), "are the same", "pairs", 1),
    (set_value("step_pairs", 6, "chosen", ""), "is empty", "step_pairs", 1),
    (set_value("positives", 7, "prompt", ""), "is empty", "positives", 1),
    (set_value("stepwise", 8, "labels", [True]), "differ in number", "stepwise", 1),
    (set_value("stepwise", 9, "labels", [True, False, True]), "counts as lost and a later", "stepwise", 2),
    (set_value("stepwise", 10, "labels", [False, None, True]), "counts as lost and a later", "stepwise", 2),
    (set_value("weighted", 11, "ends", [1, 2, 3]), "do not end where", "weighted", 1),
    (lambda rows: rows["positives"].append(rows["positives"][12]), "twice", "positives", 1),
]


def test_each_bad_row_is_found_with_an_example(make_release: Callable[..., Path]) -> None:
    problems = check_folder(make_release(change=lambda rows: [spoil(rows) for spoil, *_ in SPOILT]))
    missed = [(what, config, cases) for _, what, config, cases in SPOILT
              if not any(what in problem.what and config in (None, problem.config) and cases == problem.cases
                         for problem in problems)]
    assert not missed, problems
    assert all(problem.example for problem in problems)


@pytest.mark.parametrize(("excluded", "cases"), [
    ({"positives": {}, "unpaired": {}}, {("positives", 2), ("unpaired", 1)}),
    ({"positives": {"cap": 2}, "unpaired": {"cap": 1}}, set()),
    ({"positives": {"cap": 3}, "unpaired": {"cap": 1}, "negatives": {}}, {("positives", 1)}), (None, set())])
def test_rows_that_are_missing_without_a_reason_are_found(make_release: Callable[..., Path], excluded: dict | None,
                                                          cases: set[tuple[str, int]]) -> None:
    def change(rows: dict) -> None:
        del rows["positives"][3:5], rows["unpaired"][7]

    folder = make_release(change=change, only=("positives", "negatives", "unpaired", "solutions", "problems"),
                          problems=range(8), excluded=excluded)
    problems = check_folder(folder)
    assert {(problem.config, problem.cases) for problem in problems} == cases
    assert all(problem.what == "rows are missing without a reason, or too many" for problem in problems)


def test_a_config_that_an_older_manifest_does_not_name_is_not_counted(make_release: Callable[..., Path]) -> None:
    def change(rows: dict) -> None:
        del rows["unpaired"][7]

    few = {"only": ("positives", "unpaired", "solutions", "problems"), "problems": range(8), "change": change}
    assert check_folder(make_release("older", excluded={"positives": {}}, **few)) == []
    (problem,) = check_folder(make_release("newer", excluded={"positives": {}, "unpaired": {}}, **few))
    assert (problem.config, problem.cases) == ("unpaired", 1)


@pytest.mark.parametrize(("reasons", "cases"), [(8, set()), (7, {("pairs", 1), ("step_pairs", 1)})])
def test_rows_out_of_rollouts_come_beside_those_that_are_accounted_for(
        make_release: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, reasons: int, cases: set[tuple[str, int]]
) -> None:
    """Eight negatives give 16 pairs by two rules, or in two modes; the release has 8 of each."""
    configs = ("positives", "negatives", "unpaired")
    for config in configs:
        monkeypatch.setitem(COLUMNS, config, (*COLUMNS[config], "origin"))

    def change(rows: dict) -> None:
        for config in configs:
            rows[config].append(rows[config][0] | {"solution_id": f"{config} 1", "origin": "rollout"})

    reason = {"pairs": {"no_positive": reasons}, "step_pairs": {"no_better_step": reasons}}
    excluded = dict.fromkeys((*configs, "stepwise", "weighted"), {}) | reason
    assert {(problem.config, problem.cases)
            for problem in check_folder(make_release(change=change, problems=range(8), excluded=excluded))
            if problem.what == "rows are missing without a reason, or too many"} == cases


def test_changed_missing_and_foreign_files_are_found(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    first, second = sorted((folder / "pairs").iterdir())
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.rename(folder / "pairs/train-00007-of-00008.parquet")
    assert {problem.what for problem in check_folder(folder)} == {
        "a file has another checksum than the manifest", "a file is missing", "a file is not in the manifest"}


def test_a_manifest_that_lies_about_rows_or_columns_is_found(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    manifest = read_manifest(folder)
    manifest["files"]["pairs/train-00000-of-00001.parquet"]["rows"] += 1
    manifest["configs"]["steps"]["columns"]["q"] = "string"
    write_manifest(folder, manifest)
    assert {(problem.config, problem.what) for problem in check_folder(folder)} == {
        ("pairs", "the number of rows differs from the manifest"), ("steps", "columns differ from the manifest"),
        ("steps", "a column is of another type than such a config has")}


def test_a_missing_split_is_found(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    manifest = read_manifest(folder)
    for name in ("pairs", "steps"):
        (folder / name / "test-00000-of-00001.parquet").unlink()
        del manifest["files"][f"{name}/test-00000-of-00001.parquet"]
    del manifest["configs"]["pairs"]["rows"]["test"]
    write_manifest(folder, manifest)
    wrong = check_folder(folder)
    assert wrong[:2] == [(name, "a split is missing", 1, "test") for name in ("pairs", "steps")]
    assert {problem.config for problem in wrong[2:]} == {"negatives", "step_pairs"}, "whose pits are in no step"


def test_an_unsound_row_that_the_recipe_drops_is_found(make_release: Callable[..., Path]) -> None:
    def unsound(rows: dict) -> None:
        for config, row, column in (
                ("positives", 0, "soundness"), ("unpaired", 0, "soundness"), ("pairs", 0, "chosen_soundness"),
                ("step_pairs", 0, "chosen_soundness"), ("solutions", 0, "soundness"), ("unpaired", 1, "soundness")):
            rows[config][row][column] = "unsound"  # the last one is incorrect anyway, and stays

    recipe = {"name": "pears", "release": {"unsound_positives": "drop"}}
    assert check_folder(make_release("kept", change=unsound)) == []
    wrong = check_folder(make_release("lost", change=unsound, recipe=recipe))
    assert sorted((problem.config, problem.cases) for problem in wrong) == [
        ("pairs", 1), ("positives", 1), ("step_pairs", 1), ("unpaired", 1)]


def test_a_pit_without_a_fall_is_found(make_release: Callable[..., Path]) -> None:
    def flat(rows: dict) -> None:
        rows["steps"][1]["fall_low"], rows["negatives"][0]["fall_low"] = -0.1, None
        rows["step_pairs"][0]["fall_low"] = 0.0

    problems = {(problem.config, problem.what) for problem in check_folder(make_release(change=flat))}
    assert problems == {(name, "a pit without a fall") for name in ("steps", "negatives", "step_pairs")}


def test_a_chat_config_is_checked_like_the_rest(make_release: Callable[..., Path]) -> None:
    """A leak between splits, a wrong verdict, an empty text."""
    def spoil(rows: dict) -> None:
        first, second, third = rows["pairs_chat"][:3]
        first["split"] = other(first["split"])
        second["chosen_id"] = second["rejected_id"]
        third["chosen"] = [{"role": "assistant", "content": ""}]
        third["chosen_complete"] = False

    problems = [(p.what, p.cases) for p in check_folder(make_release("spoilt", change=spoil, chat=True))]
    assert [what for what, _ in problems] == [
        "a problem is in more than one split", "a solution has another verdict than its place demands",
        "a text is not that of its solution", "a text is empty, or chosen and rejected are the same"]


def test_a_path_that_leaves_the_folder_is_not_followed(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    manifest = read_manifest(folder)
    manifest["files"]["pairs/../../secret"] = {"sha256": "0" * 64, "bytes": 1}
    (folder.parent / "secret").write_text("s")
    write_manifest(folder, manifest)
    assert [problem.what for problem in check_folder(folder)] == ["the manifest does not fit"]
