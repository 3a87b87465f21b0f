"""The manifest of a release that anybody may have made: it fits its one definition, or is refused in one line."""

import json
import os
from pathlib import Path

import pytest

from stepforge.builders.manifest import MOST_DEPTH, ManifestError, ReleaseError, parse_manifest, read_manifest

SHA = "0" * 64
DATA = {"sha256": SHA, "bytes": 5, "rows": 1, "config": "pairs", "split": "train"}
NAME = "pairs/train-00000-of-00001.parquet"
SOUND = {"name": "x", "configs": {"pairs": {"columns": {"a": "string"}, "rows": {"train": 1}}}, "files": {NAME: DATA}}


def parse(manifest: object) -> dict:
    return parse_manifest(json.dumps(manifest).encode(), "m")


def test_a_sound_manifest_comes_back_as_it_is_with_keys_that_a_later_version_adds() -> None:
    whole = SOUND | {"later": {"x": [1]}, "version": "1.0.0", "recipe": {"release": {"later": 1}}}
    assert parse(whole) == whole


@pytest.mark.parametrize(("change", "says"), [
    ({"name": None}, "name: Input should be a valid string"),
    ({"configs": []}, "configs: Input should be a valid dictionary"),
    ({"configs": {"Pairs": SOUND["configs"]["pairs"]}, "files": {}}, "lower-case letters"),
    ({"configs": {"pairs": {"columns": {"a": 1}, "rows": {}}}, "files": {}}, "configs.pairs.columns.a"),
    ({"configs": {"pairs": {"columns": {}, "rows": {"dev": 1}}}, "files": {}}, "allowed are train, validation, test"),
    ({"configs": {"pairs": {"columns": {}, "rows": {"train": -1}}}, "files": {}}, "greater than or equal to 0"),
    ({"configs": {"pairs": {"columns": {}, "rows": {"train": "1"}}}, "files": {}}, "valid integer"),
    ({"configs": {"pairs": {"columns": {}, "rows": {"train": True}}}, "files": {}}, "valid integer"),
    ({"files": {NAME: DATA | {"sha256": "0"}}}, "sha256"),
    ({"files": {NAME: DATA | {"bytes": None}}}, "bytes"),
    ({"files": {NAME: DATA | {"config": "steps"}}}, "belongs to no config of that name"),
    ({"files": {NAME: DATA | {"split": "test"}}}, "needs a name such as"),
    ({"files": {NAME: DATA | {"rows": None}}}, "its number of rows"),
    ({"files": {"pairs/x.parquet": DATA}}, "needs a name such as"),
    ({"version": "newest"}, "version"), ({"parent": "1"}, "parent"), ({"changes": {"pairs": 1}}, "changes.pairs"),
    ({"measures": [{"generator": "g", "measure": "m"}]}, "measures.0.value: Field required"),
    ({"measures": {"a": 1}}, "measures: Input should be a valid list"),
    ({"recipe": {"annotate": {"pit_fall": "deep"}}}, "recipe.annotate.pit_fall"),
    ({"stages": {"verify": 1}}, "stages.verify"), ({"generators": ["g"]}, "generators.0"),
    ({"licenses": {"a": 1}}, "licenses.a"), ({"left_out": ["a"]}, "left_out"), ({"ledger": {"a": 1}}, "ledger.a"),
])
def test_what_does_not_fit_is_named(change: dict, says: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parse(SOUND | change)
    assert says in str(refused.value) and "\n" not in str(refused.value), refused.value


@pytest.mark.parametrize("path", [
    "../x", "/etc/passwd", "pairs/../../x", "./x", "pairs//x", "pairs/", "", ".", "a\\b", "a\x00b", "a\x1b[31m",
    "a\nb", "\u202eabc", "x" * 256, "a/" * 501 + "b"])
def test_a_file_name_leads_to_no_place_outside_and_steers_nothing(path: str) -> None:
    with pytest.raises(ManifestError, match="a file is named by its path below the release"):
        parse(SOUND | {"files": {path: {"sha256": SHA, "bytes": 1}}})
    assert parse(SOUND | {"files": {"assets/kurve é.png": {"sha256": SHA, "bytes": 1}}})


@pytest.mark.parametrize(("content", "says"), [
    (b"", "not JSON"), (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[" * 100_000, "nested more than"),
    (b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1), "nested more than"),
    (b'{"name": NaN}', "NaN is no number"), (b"9" * 5000, "not JSON"),
    (b'{"name": "\\ud800", "configs": {}, "files": {}}', "surrogates"),
    (b"[]", "valid dictionary"), (b"null", "valid dictionary"), (b"{}", "name: Field required"),
])
def test_what_is_no_manifest_at_all_is_refused_in_one_line(content: bytes, says: str) -> None:
    with pytest.raises(ManifestError, match=says) as refused:
        parse_manifest(content, "m")
    assert "\n" not in str(refused.value)


def test_strings_of_a_manifest_do_not_steer_the_terminal_that_tells_of_them() -> None:
    with pytest.raises(ManifestError) as refused:
        parse(SOUND | {"version": "\x1b[31mred\n\u202e", "stages": {"\x1b[31m": 1}})
    assert all(character not in str(refused.value) for character in "\x1b\n\u202e")


def test_a_manifest_of_a_gigabyte_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    (tmp_path / "stepforge.json").touch()
    os.truncate(tmp_path / "stepforge.json", 2**30)
    with pytest.raises(ReleaseError, match="1,073,741,824 bytes; a manifest has 16,777,216 at most"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("part", ["measures", "generators", "files", "rows"])
def test_a_hundred_thousand_misfits_are_not_collected(part: str) -> None:
    """Each that is kept takes 1.6 kB; of lists the first is kept, mappings are refused by their number of entries."""
    many = [1] * 100_000 if part in ("measures", "generators") else {str(i): 1 for i in range(100_000)}
    manifest = SOUND | ({"configs": {"pairs": {"columns": {}, "rows": many}}} if part == "rows" else {part: many})
    with pytest.raises(ManifestError) as refused:
        parse(manifest)
    assert len(refused.value.misfits) <= 2
