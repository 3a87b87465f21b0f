"""What changed between versions, and the number that a change demands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from stepforge.cards.address import PublishError
from stepforge.cards.publish import publish
from stepforge.cards.semver import Version, VersionError, parse_tag, parse_version
from stepforge.cards.versions import (
    compare,
    demand_version,
    diff,
    diff_tables,
    propose_version,
    versions,
    versions_table,
)


def test_the_same_rows_are_no_change(make_release: Callable[..., Path]) -> None:
    found = compare(make_release("a"), make_release("b"))
    assert found.kind is None and found.summary() == {}


def test_rows_added_removed_and_changed_are_counted_by_id(make_release: Callable[..., Path]) -> None:
    def change(rows: dict) -> None:
        del rows["positives"][:3]
        rows["positives"][0]["completion"] += "!"
        rows["negatives"][5]["pit_index"] = None
        rows["steps"].append(dict(rows["steps"][0]))  # a key that stands twice counts as a row more

    found = compare(make_release("a", range(40)), make_release("b", range(45), change=change))
    assert found.configs["positives"][:3] == (5, 3, 1)
    assert found.configs["negatives"][:3] == (5, 0, 1)
    assert found.configs["steps"][:3] == (16, 0, 0)
    assert found.kind == "minor"


def test_a_row_that_moves_to_another_split_is_changed(make_release: Callable[..., Path]) -> None:
    def move(rows: dict) -> None:
        rows["pairs"][0]["split"] = "test" if rows["pairs"][0]["split"] == "train" else "train"

    found = compare(make_release("a"), make_release("b", change=move))
    assert found.configs["pairs"][:3] == (0, 0, 1) and found.kind == "patch"


def test_a_config_that_goes_is_a_break_and_one_that_comes_is_an_addition(make_release: Callable[..., Path]) -> None:
    whole, less = make_release("a"), make_release("b", change=lambda rows: rows.pop("pairs"))
    assert (compare(whole, less).kind, compare(less, whole).kind) == ("major", "minor")
    assert compare(whole, less).configs["pairs"].removed == 40


def test_a_lost_column_is_a_break_and_a_new_one_an_addition(make_release: Callable[..., Path]) -> None:
    whole, less = make_release("a"), make_release("b", without="rule")
    assert compare(whole, less).configs["pairs"].lost_columns == ["rule"]
    assert (compare(whole, less).kind, compare(less, whole).kind) == ("major", "minor")


def test_measures_stand_side_by_side(make_release: Callable[..., Path]) -> None:
    found = compare(make_release("a"), make_release("b", measures=[]))
    assert ("tiny", "coverage", 1, 0.4, None) in found.measures
    with Console(record=True, width=200) as console:
        console.print(*diff_tables(found))
    assert "coverage" in console.export_text()


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
