"""Releases of strangers: check, diff, versions and open_release answer in rows and one-line errors, whatever comes."""

import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.hostile_releases import attempt, mutate
from helpers.releases import SMALL, write_small
from rich.console import Console

from stepforge.builders import shards, sql
from stepforge.builders.errors import UserError
from stepforge.builders.manifest import MOST_BYTES, ReleaseError, read_manifest
from stepforge.builders.release import write_manifest
from stepforge.cards import targets, versions
from stepforge.cards.check import Problem, check_folder, problems_table
from stepforge.pipelines.views.releases import open_release

FILE = "pairs/train-00000-of-00001.parquet"
ESC = "\x1b[31mred"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("sound") / "release", range(12), only=(*SMALL, "solutions"))


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


def put(folder: Path, content: bytes) -> None:
    """Other content under the name of a shard, with the right checksum and length."""
    (folder / FILE).write_bytes(content)
    agree(folder)


def agree(folder: Path) -> None:
    manifest = read_manifest(folder)
    path = folder / FILE
    manifest["files"][FILE] |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    write_manifest(folder, manifest)


def shown(*tables: object) -> str:
    console = Console(file=io.StringIO(), width=250, force_terminal=True, color_system=None)
    console.print(*tables)
    return console.file.getvalue()


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(20, 100, 20))])
def test_of_hundred_hostile_releases_none_ends_in_a_fault(sound: Path, tmp_path: Path, first: int) -> None:
    """A part of `make bench NAME=hostile_releases`."""
    for seed in range(first, first + 20):
        place = tmp_path / f"case-{seed}"
        for version in ("v1.0.0", "v2.0.0"):
            shutil.copytree(sound, place / version)
        did = mutate(place / "v2.0.0", random.Random(f"fast {seed}"))
        ends = attempt(place)
        assert set(ends.values()) <= {"said", "refused"}, (seed, did, ends)


def test_a_manifest_that_does_not_fit_is_a_row_for_each_misfit(copy: Path) -> None:
    (copy / "stepforge.json").write_text('{"name": 1, "configs": {}}')
    assert check_folder(copy) == [
        Problem("–", "the manifest does not fit", 1, "name: Input should be a valid string (got 1)"),
        Problem("–", "the manifest does not fit", 1, "files: Field required")]


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" * 100])
def test_a_shard_that_is_no_parquet_file_is_a_row_and_an_error(copy: Path, sound: Path, content: bytes) -> None:
    put(copy, content)
    (problem,) = check_folder(copy)
    assert problem.what == "it is no Parquet file that can be read" or "footer" in problem.what
    for call in (lambda: versions.compare(sound, copy), lambda: open_release(copy).frame("pairs")):
        with pytest.raises(ReleaseError, match=f"{FILE}: it"):
            call()


def test_a_changed_page_is_a_row_and_an_error(copy: Path, sound: Path) -> None:
    content = bytearray((copy / FILE).read_bytes())
    content[4:1000] = b"\xff" * 996
    put(copy, bytes(content))
    assert "its rows cannot be tested" in {problem.what for problem in check_folder(copy)}
    with pytest.raises(ReleaseError, match="the rows of pairs in .* cannot be compared"):
        versions.compare(sound, copy)


def test_a_file_of_another_length_is_not_hashed(copy: Path) -> None:
    with (copy / FILE).open("ab") as file:
        file.write(b"x")
    assert [problem.what for problem in check_folder(copy)] == ["a file has another size than the manifest"]


def test_a_config_without_files_is_a_missing_split_and_no_fault(copy: Path, sound: Path) -> None:
    manifest = read_manifest(copy)
    for name in [name for name, facts in manifest["files"].items() if facts["config"] == "pairs"]:
        del manifest["files"][name]
        (copy / name).unlink()
    write_manifest(copy, manifest)
    assert {problem.what for problem in check_folder(copy)} == {"a split is missing"}
    assert versions.compare(sound, copy).configs["pairs"].removed == 12
    with pytest.raises(UserError, match="has no files, so it has no rows"):
        open_release(copy).frame("pairs")


def test_rows_that_take_too_long_to_compare_are_given_up(copy: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
                                                         ) -> None:
    """Few rows of one id, joined with as many, are millions; the time for a stranger's rows is bounded."""
    count = 60_000
    solutions = pq.read_table(copy / "solutions/train-00000-of-00001.parquet").slice(0, 1)
    many = pa.concat_tables([solutions] * count)
    monkeypatch.setattr(sql, "STRANGERS_SECONDS", 1.0)
    monkeypatch.setattr(shards, "FREE_ROWS", count)
    monkeypatch.setattr(shards, "FREE_BYTES", 2**40)
    manifest = read_manifest(copy)
    for config in ("solutions", "positives"):
        name = f"{config}/train-00000-of-00001.parquet"
        first = pq.read_table(copy / name).slice(0, 1)
        pq.write_table(pa.concat_tables([first] * count) if config == "positives" else many, copy / name)
        facts = {"sha256": hashlib.sha256((copy / name).read_bytes()).hexdigest(),
                 "bytes": (copy / name).stat().st_size, "rows": count}
        manifest["files"][name] |= facts
        manifest["configs"][config]["rows"]["train"] = count
    write_manifest(copy, manifest)
    (given_up,) = [problem for problem in check_folder(copy) if problem.what == "its rows cannot be tested"]
    assert "nterrupt" in given_up.example


def test_names_of_a_release_do_not_steer_the_terminal(copy: Path) -> None:
    manifest = read_manifest(copy)
    manifest["measures"] = [{"generator": ESC, "measure": "[red]x[/red]", "k": 1, "value": 0.5}]
    manifest["configs"]["pairs"]["columns"][f"{ESC}[bold]"] = ESC
    manifest["name"] = ESC
    write_manifest(copy, manifest)
    text = shown(problems_table([Problem("[red]a[/red]", "x", 1, f"{ESC}\n[/b]"), *check_folder(copy)]),
                 *versions.diff_tables(versions.Diff(
                     {"pairs": versions.ConfigChange(0, 0, 0, [f"{ESC}[bold]"], [], [])}, [], [],
                     [(ESC, "[red]x[/red]", 1, None, 0.5)])),
                 versions.versions_table([versions.Published(versions.Version(1, 0, 0), ESC, {}, ESC, f"{ESC}[/b]")]))
    assert ESC not in text + repr(open_release(copy)) and "[red]x[/red]" in text and "[red]a[/red]" in text
    assert "[/b]" in text and "[bold]" in text


def test_a_version_whose_manifest_does_not_fit_is_listed_with_the_reason(copy: Path, sound: Path) -> None:
    place = copy.parent / "out"
    shutil.copytree(sound, place / "v1.0.0")
    shutil.copytree(sound, place / "v1.1.0")
    (place / "v1.1.0/stepforge.json").write_text(json.dumps({"name": "x", "configs": {"pairs": 1}, "files": {}}))
    listed = versions.versions(f"local:{place}")
    assert [row.fault is None for row in listed] == [True, False]
    assert "configs.pairs: Input should be a valid dictionary" in shown(versions.versions_table(listed))


def test_a_manifest_of_a_gigabyte_at_a_target_is_not_read_whole(copy: Path) -> None:
    with (copy / "large").open("wb") as file:
        file.truncate(2**30)
    assert len(targets.read_small(copy / "large")) == MOST_BYTES + 1


@pytest.mark.parametrize("change", [{"split": None}, {"rows": None}])
def test_data_without_split_or_rows_is_refused_by_everybody(copy: Path, change: dict) -> None:
    manifest = read_manifest(copy)
    manifest["files"][FILE] |= change
    write_manifest(copy, manifest)
    read: tuple[Callable[[], object], ...] = (lambda: open_release(copy), lambda: versions.compare(copy, copy))
    for call in read:
        with pytest.raises(ReleaseError, match="its split and its number of rows"):
            call()
