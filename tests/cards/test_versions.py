"""What changed between versions, and the number that a change demands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from stepforge.cards.address import PublishError
from stepforge.cards.check import check
from stepforge.cards.publish import publish
from stepforge.cards.semver import Version, VersionError, parse_tag, parse_version
from stepforge.cards.versions import (
    ConfigChange,
    Diff,
    compare,
    demand_version,
    diff,
    diff_tables,
    fetch,
    propose_version,
    versions,
    versions_table,
)


def test_the_same_rows_are_no_change(make_release: Callable[..., Path]) -> None:
    difference = compare(make_release("a"), make_release("b"))
    assert difference.kind is None and difference.summary() == {}


def test_rows_added_removed_and_changed_are_counted_by_id(make_release: Callable[..., Path]) -> None:
    def change(rows: dict) -> None:
        del rows["positives"][:3]
        rows["positives"][0]["completion"] += "!"
        rows["negatives"][5]["pit_index"] = None
        rows["steps"].append(dict(rows["steps"][0]))  # a key that stands twice counts as a row more

    difference = compare(make_release("a", range(40)), make_release("b", range(45), change=change))
    assert difference.configs["positives"][:3] == (5, 3, 1)
    assert difference.configs["negatives"][:3] == (5, 0, 1)
    assert difference.configs["steps"][:3] == (16, 0, 0)
    assert difference.kind == "minor"


def test_a_row_that_moves_to_another_split_is_changed(make_release: Callable[..., Path]) -> None:
    def move(rows: dict) -> None:
        rows["pairs"][0]["split"] = "test" if rows["pairs"][0]["split"] == "train" else "train"

    difference = compare(make_release("a"), make_release("b", change=move))
    assert difference.configs["pairs"][:3] == (0, 0, 1) and difference.kind == "patch"


def test_problems_that_move_from_test_to_train_are_counted_and_told(make_small: Callable[..., Path], tmp_path: Path
                                                                    ) -> None:
    def train_on_two(rows: dict) -> None:
        held_out = [row["problem_id"] for row in rows["problems"] if row["split"] == "test"][:2]
        for row in (row for members in rows.values() for row in members):
            if row["problem_id"] in held_out:
                row["split"] = "train"

    old, new, to = make_small("a"), make_small("b", change=train_on_two), f"local:{tmp_path / 'out'}"
    assert (compare(old, new).into_train, compare(new, old).into_train, compare(old, old).into_train) == (2, 0, 0)
    assert publish(old, to).notes == ()
    (note,) = publish(new, to).notes
    assert note.startswith("v1.0.0 to v1.0.1: 2 problems of test or validation in the older version are in train")
    assert note.endswith(str(diff(to, "1.0.0", "1.0.1").leak)) and diff(to, "1.0.1", "1.0.0").leak is None


@pytest.mark.parametrize(("before", "after", "moved"), [("test", "validation", 0), ("validation", "train", 1),
                                                        ("train", "validation", 0), ("train", "train", 0)])
def test_validation_is_held_out_too(make_small: Callable[..., Path], before: str, after: str, moved: int) -> None:
    def put(split: str) -> Callable[[dict], None]:
        def change(rows: dict) -> None:
            for row in (row for members in rows.values() for row in members):
                if row["problem_id"] == rows["problems"][0]["problem_id"]:
                    row["split"] = split
        return change

    assert compare(make_small("a", change=put(before)), make_small("b", change=put(after))).into_train == moved


def test_a_column_of_another_type_is_a_break() -> None:
    assert Diff({"pairs": ConfigChange(0, 0, 0, [], [], ["margin"])}, [], [], []).kind == "major"


def test_a_config_that_goes_is_a_break_and_one_that_comes_is_an_addition(make_release: Callable[..., Path]) -> None:
    whole, less = make_release("a"), make_release("b", change=lambda rows: rows.pop("pairs"))
    assert (compare(whole, less).kind, compare(less, whole).kind) == ("major", "minor")
    assert compare(whole, less).configs["pairs"].removed == 40


def test_a_lost_column_is_a_break_and_a_new_one_an_addition(make_release: Callable[..., Path]) -> None:
    whole, less = make_release("a"), make_release("b", without="rule")
    assert compare(whole, less).configs["pairs"].lost_columns == ["rule"]
    assert (compare(whole, less).kind, compare(less, whole).kind) == ("major", "minor")


@pytest.mark.parametrize(("rows", "kind"), [((1, 1, 1), "minor"), ((0, 1, 0), "patch"), ((0, 0, 1), "patch"),
                                            ((0, 0, 0), None)])
def test_rows_removed_or_changed_alone_are_a_patch(rows: tuple[int, int, int], kind: str | None) -> None:
    assert Diff({"pairs": ConfigChange(*rows, [], [], [])}, [], [], []).kind == kind


def test_measures_stand_side_by_side(make_release: Callable[..., Path]) -> None:
    difference = compare(make_release("a"), make_release("b", measures=[]))
    assert ("tiny", "coverage", 1, 0.4, None) in difference.measures
    with Console(record=True, width=200) as console:
        console.print(*diff_tables(difference))
    assert "coverage" in console.export_text()


def test_measures_of_all_problems_are_compared_in_the_order_of_k(make_release: Callable[..., Path]) -> None:
    one = {"generator": "tiny", "measure": "coverage", "value": 0.4}
    before = make_release("a", measures=[*(one | {"k": k} for k in range(9, 0, -1)), one | {"k": 10, "by": "all"}])
    after = make_release("b", measures=[one | {"k": 2, "value": 0.5}, one | {"k": 2, "by": "level", "value": 0.9}])
    rows = [(k, old, new) for _, _, k, old, new in compare(before, after).measures]
    assert rows == [(k, 0.4, 0.5 if k == 2 else None) for k in range(1, 11)]


def test_a_diff_shows_what_changed_alone(make_release: Callable[..., Path]) -> None:
    whole = make_release("a")
    less = make_release("b", range(45), change=lambda rows: (rows.pop("pairs"), rows.pop("steps")))
    gone, come = (compare(*folders) for folders in ((whole, less), (less, whole)))
    with Console(record=True, width=200) as console:
        console.print(*diff_tables(gone))
    text = console.export_text()
    assert [line.split()[1:] for line in text.splitlines() if " pairs " in line] == [
        "pairs │ 0 │ 40 │ 0 │ config removed │".split()]
    assert "coverage" not in text and gone.summary()["pairs"]["columns"] == "config removed"
    assert come.summary()["pairs"]["columns"] == "new config" and diff_tables(compare(whole, whole)) == []
    same = compare(less, make_release("c", range(45), change=lambda rows: (rows.pop("steps"), rows.pop("pairs"),
                                                                           rows["positives"].pop())))
    assert list(map(str, diff_tables(same)[0].columns[0].cells)) == ["positives"]


def test_a_target_without_versions_says_so(tmp_path: Path) -> None:
    for ask in (versions, fetch, check):
        with pytest.raises(PublishError, match=f"local:{tmp_path / 'nosuch'} has no versions yet"):
            ask(f"local:{tmp_path / 'nosuch'}")


def test_without_a_version_the_newest_is_checked(make_small: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(make_small("a", range(20)), f"local:{out}", "1.9.0")
    publish(make_small("b", range(25)), f"local:{out}", "1.10.0")
    assert check(f"local:{out}") == [] and fetch(f"local:{out}") == out / "v1.10.0"
    next((out / "v1.10.0/pairs").iterdir()).unlink()
    assert [problem.what for problem in check(f"local:{out}")] == ["a file is missing"]


@pytest.mark.parametrize(("kind", "after"), [
    ("major", "2.0.0"), ("minor", "1.3.0"), ("patch", "1.2.4"), (None, "1.2.4")])
def test_the_proposed_version_follows_the_change(kind: str | None, after: str) -> None:
    assert str(propose_version(Version(1, 2, 3), kind)) == after
    assert str(propose_version(None, kind)) == "1.0.0"


def test_a_version_lower_than_the_change_demands_is_refused() -> None:
    demand_version(Version(2, 0, 0), Version(1, 9, 0), "minor")
    with pytest.raises(VersionError, match="1.10.0 is the lowest"):
        demand_version(Version(1, 9, 1), Version(1, 9, 0), "minor")


@pytest.mark.parametrize("text", ["1.0", "1.0.0.0", "01.0.0", "latest", "1.0.0-rc1", "", "1.0.x"])
def test_other_forms_are_no_versions(text: str) -> None:
    assert parse_tag(text) is None
    with pytest.raises(VersionError, match="MAJOR.MINOR.PATCH"):
        parse_version(text)


def test_versions_are_read_from_a_target(make_small: Callable[..., Path], tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    publish(make_small("a", range(20)), to, "1.0.0")
    publish(make_small("b", range(25)), to)
    assert [(str(v.version), v.rows["pairs"], v.parent) for v in versions(to)] == [("1.0.0", 20, None),
                                                                                  ("1.1.0", 25, "1.0.0")]
    assert diff(to, "v1.0.0", "1.1.0").configs["pairs"].added == 5
    with pytest.raises(PublishError, match="has no version 3.0.0; it has 1.0.0, 1.1.0"):
        diff(to, "1.0.0", "3.0.0")
    with Console(record=True, width=200) as console:
        console.print(versions_table(versions(to)))
    assert "v1.1.0" in console.export_text()


COMMANDS = """
import contextlib, io, json, sys
from stepforge.pipelines.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["stepforge", *command]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.parametrize(("endpoint", "offline", "says"), [
    ("http://127.0.0.1:9", "0", "check the network"), ("http://127.0.0.1:9", "1", "HF_HUB_OFFLINE is set"),
    pytest.param("http://no-such-host.invalid", "0", "check the network", marks=pytest.mark.slow)])
def test_a_hub_out_of_reach_is_one_sentence(make_small: Callable[..., Path], tmp_path: Path, endpoint: str,
                                            offline: str, says: str) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": offline}
    commands = [["versions", "hub:org/name"], ["diff", "hub:org/name", "1.0.0", "1.1.0"], ["check", "hub:org/name"],
                ["check", "hub:org/name@v1.0.0"], ["publish", str(make_small()), "--to", "hub:org/name", "--dry-run"]]
    run = subprocess.run([sys.executable, "-c", COMMANDS, json.dumps(commands)], capture_output=True, text=True,
                         env=environment, cwd=tmp_path)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(commands), run.stderr
    for code, shown, error in answers:
        assert code == 2 and shown == "" and len(error.strip().splitlines()) == 1, error
        assert "hub:org/name" in error and says in error
