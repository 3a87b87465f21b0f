"""Which settings differ between two manifests, the older of which may be anybody's."""

import pytest

from stepforge.cards.settings import changed_settings


def test_options_are_named_with_both_values() -> None:
    before = {"recipe": {"generators": [{"samples": 8, "top_p": 1.0}],
                         "release": {"to": "local:a", "version": "1.0.0"}}}
    after = {"recipe": {"generators": [{"samples": 16, "top_p": 1.0, "stop": None}, {"name": "b"}],
                        "release": {"to": "local:b", "version": "auto", "splits": {"test": 0.1}}}}
    assert changed_settings(before, after) == [
        "`generators.0.samples` (8 before, 16 now)", "`generators.0.stop` (absent before, null now)",
        "`generators.1` (absent before, {'name': 'b'} now)", "`release.splits` (absent before, {'test': 0.1} now)"]


def test_versions_of_stages_and_packages_are_named_where_the_recipe_is_the_same() -> None:
    before = {"recipe": {}, "stages": {"verify": {"version": 1}}, "packages": {"duckdb": "1.0"}}
    after = {"recipe": {}, "stages": {"verify": {"version": 2}}, "packages": {"duckdb": "2.0"}}
    assert changed_settings(before, after) == ["`stage verify` (1 before, 2 now)", "`duckdb` (1.0 before, 2.0 now)"]


def test_many_changes_are_counted() -> None:
    diff = changed_settings({"recipe": {str(n): n for n in range(9)}}, {"recipe": {str(n): -n - 1 for n in range(9)}})
    assert len(diff) == 6 and diff[-1] == "and 4 more"
    assert len(changed_settings({"recipe": {}}, {"recipe": dict.fromkeys("abcde", 1)})) == 5


@pytest.mark.parametrize("before", [{}, {"recipe": []}, {"recipe": "x", "stages": [1], "packages": 3},
                                    {"stages": {"verify": None}}])
def test_manifests_of_other_makes_are_compared_as_well(before: dict) -> None:
    assert isinstance(changed_settings(before, {"recipe": {"seed": 0}, "stages": {}, "packages": {}}), list)
