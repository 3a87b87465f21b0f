"""The release folder: what lands where, byte for byte, and what is refused."""

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from stepforge.builders.parquet import part_name, write_rows
from stepforge.builders.release import (
    ReleaseError,
    read_manifest,
    sha256_file,
    split_groups,
    split_of,
    write_release,
)

SCHEMA = pa.schema([pa.field("solution_id", pa.string(), nullable=False), pa.field("completion", pa.string()),
                    pa.field("split", pa.string())])


def rows(numbers: Iterable[int], test_every: int = 10) -> list[dict]:
    return [{"solution_id": f"s{i}", "completion": f"{i} pears " * (i % 50),
             "split": "test" if test_every and i % test_every == 0 else "train"} for i in numbers]


def table(folder: Path, name: str, members: list[dict], schema: pa.Schema = SCHEMA) -> dict[str, Path]:
    write_rows(folder / f"{name}.parquet", members, schema)
    return {name: folder / f"{name}.parquet"}


def ids(folder: Path, split: str) -> list[str]:
    shards = [pq.read_table(path) for path in sorted(folder.glob(f"{split}-*.parquet"))]
    return pa.concat_tables(shards)["solution_id"].to_pylist()


def test_rows_keep_their_order_and_none_is_lost(tmp_path: Path) -> None:
    members = rows(range(5000))
    manifest = write_release(tmp_path / "r", table(tmp_path, "positives", members), {"name": "x"},
                             max_shard_bytes=100_000, row_group_bytes=30_000)
    for split in ("train", "test"):
        assert ids(tmp_path / "r/positives", split) == [r["solution_id"] for r in members if r["split"] == split]
    assert manifest["configs"]["positives"]["rows"] == {"train": 4500, "test": 500}
    shards = sorted(path.name for path in (tmp_path / "r/positives").glob("train-*"))
    assert len(shards) > 2 and shards[1] == f"train-00001-of-{len(shards):05d}.parquet"


def test_the_split_decides_the_file_and_is_no_column(tmp_path: Path) -> None:
    manifest = write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(20))), {"name": "x"})
    assert list(manifest["configs"]["positives"]["columns"]) == ["solution_id", "completion"]
    for path in (tmp_path / "r/positives").iterdir():
        assert "split" not in pq.read_schema(path).names


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    tables = table(tmp_path, "positives", rows(range(3000)))
    first, second = (write_release(tmp_path / name, tables, {"name": "x"}, 50_000, 20_000) for name in "ab")
    assert first == second
    assert (tmp_path / "a/stepforge.json").read_bytes() == (tmp_path / "b/stepforge.json").read_bytes()


def in_parts(folder: Path, members: list[list[dict]]) -> dict[str, Path]:
    for number, part in enumerate(members):
        write_rows(folder / "positives" / part_name(number, len(members)), part, SCHEMA)
    return {"positives": folder / "positives"}


def test_another_row_in_one_part_changes_the_files_of_that_part_alone(tmp_path: Path) -> None:
    parts = [rows(range(0, 400)), rows(range(401, 409)), [], rows(range(409, 3000))]  # the second has no test row
    made = write_release(tmp_path / "a", in_parts(tmp_path / "1", parts), {"name": "x"}, by_part=True)
    names = [f"{split}-{part:05d}-of-00004.parquet" for split in ("train", "test")
             for part in range(4) if part not in ((2,) if split == "train" else (1, 2))]
    assert [name.removeprefix("positives/") for name in made["files"]] == names
    by_size = write_release(tmp_path / "b", in_parts(tmp_path / "2", parts), {"name": "x"})
    for split in ("train", "test"):
        assert ids(tmp_path / "a/positives", split) == ids(tmp_path / "b/positives", split)
    assert made["configs"] == by_size["configs"] and len(by_size["files"]) == 2
    assert len(load_dataset("parquet", data_dir=str(tmp_path / "a/positives"), split="train")) == 2700
    parts[0].insert(7, {"solution_id": "new", "completion": "8", "split": "train"})
    again = write_release(tmp_path / "a", in_parts(tmp_path / "3", parts), {"name": "x"}, by_part=True)
    changed = [name for name, facts in again["files"].items() if facts != made["files"][name]]
    assert again["files"].keys() == made["files"].keys() and changed == ["positives/train-00000-of-00004.parquet"]


def test_the_manifest_lists_every_file_with_its_checksum(tmp_path: Path) -> None:
    write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(100))), {"name": "x", "seed": 3})
    manifest = read_manifest(tmp_path / "r")
    on_disk = {p.relative_to(tmp_path / "r").as_posix() for p in (tmp_path / "r").rglob("*.parquet")}
    assert set(manifest["files"]) == on_disk and manifest["seed"] == 3
    for path, facts in manifest["files"].items():
        assert sha256_file(tmp_path / "r" / path) == facts["sha256"]
        assert pq.read_metadata(tmp_path / "r" / path).num_rows == facts["rows"]
        assert (tmp_path / "r" / path).stat().st_size == facts["bytes"]


def test_shards_have_a_page_index_and_zstd(tmp_path: Path) -> None:
    write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(100))), {"name": "x"})
    column = pq.read_metadata(next((tmp_path / "r").rglob("*.parquet"))).row_group(0).column(1)
    assert column.has_offset_index and column.has_column_index and column.compression == "ZSTD"


def test_what_has_no_rows_gets_no_file_and_every_config_counts_every_split(tmp_path: Path) -> None:
    tables = table(tmp_path, "positives", rows(range(1, 9), 0)) | table(tmp_path, "negatives", [])
    manifest = write_release(tmp_path / "r", tables, {"name": "x"})
    assert manifest["configs"]["positives"]["rows"] == {"train": 8, "test": 0}
    assert manifest["left_out"] == {"positives/test": "no rows", "negatives": "no rows"}
    assert [path.name for path in (tmp_path / "r").rglob("*.parquet")] == ["train-00000-of-00001.parquet"]


def test_a_file_without_rows_would_keep_datasets_from_loading_the_others(tmp_path: Path) -> None:
    """Why such a split gets no file. Where this fails, `datasets` has learnt to load one."""
    write_rows(tmp_path / "c/train-00000-of-00001.parquet", rows(range(3)), SCHEMA)
    write_rows(tmp_path / "c/test-00000-of-00001.parquet", [], SCHEMA)
    with pytest.raises(ValueError, match="corresponds to no data"):
        load_dataset(str(tmp_path / "c"), cache_dir=str(tmp_path / "cache"))


def test_a_share_of_validation_leaves_the_test_split_as_it_is() -> None:
    groups = [f"g{index}" for index in range(2000)]
    drawn = {share: [split_of(group, 0, "train", {"test": 0.1, "validation": share}) for group in groups]
             for share in (0.0, 0.2)}
    assert [split == "test" for split in drawn[0.0]] == [split == "test" for split in drawn[0.2]]
    assert 0.16 < drawn[0.2].count("validation") / 2000 < 0.24  # 4.5 standard errors
    assert "validation" not in drawn[0.0]


def test_building_again_removes_old_shards_and_keeps_everything_else(tmp_path: Path) -> None:
    both = table(tmp_path, "positives", rows(range(3000))) | table(tmp_path, "negatives", rows(range(10)))
    write_release(tmp_path / "r", both, {"name": "x"}, 50_000, 20_000)
    (tmp_path / "r/README.md").write_text("mine")
    (tmp_path / "r/positives/notes.txt").write_text("mine too")
    manifest = write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(10))), {"name": "x"})
    files = {p.relative_to(tmp_path / "r").as_posix() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    assert files == {*manifest["files"], "stepforge.json", "README.md", "positives/notes.txt"}
    assert not (tmp_path / "r/negatives").exists()


@pytest.mark.parametrize("bad", [
    lambda folder: table(folder, "positives", [{"solution_id": "a", "completion": "", "split": "dev"}]),
    lambda folder: table(folder, "positives", [{"solution_id": "a", "completion": ""}], SCHEMA.remove(2)),
    lambda folder: {"../out": table(folder, "positives", rows(range(3)))["positives"]},
])
def test_a_bad_table_is_refused_and_the_folder_keeps_what_it_held(tmp_path: Path, bad) -> None:
    before = write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(30))), {"name": "x"})
    with pytest.raises(ReleaseError):
        write_release(tmp_path / "r", bad(tmp_path), {"name": "x"})
    assert read_manifest(tmp_path / "r") == before
    assert all(sha256_file(tmp_path / "r" / path) == facts["sha256"] for path, facts in before["files"].items())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"configs": 1, "files": {}}', b"\xff"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stepforge.json").write_bytes(content)
    with pytest.raises(ReleaseError, match="is not the manifest of a release"):
        read_manifest(tmp_path)


def test_not_a_number_is_not_written_as_json(tmp_path: Path) -> None:
    tables = table(tmp_path, "positives", rows(range(3)))
    with pytest.raises(ValueError):
        write_release(tmp_path / "r", tables, {"name": "x", "measures": [float("nan")]})
    assert not (tmp_path / "r/stepforge.json").exists()


def test_an_upstream_test_problem_stays_test_and_takes_its_group_along() -> None:
    assert split_of("g", 0, "test", {"test": 0.0}) == "test"
    assert split_of("g", 0, "validation", {"test": 0.9}) == "validation"
    problems = [("g", "validation"), ("g", "train"), ("h", "validation"), ("h", "test")]
    assert list(split_groups(((*row, None) for row in problems), 0, {})) == [("g", "validation"), ("h", "test")]
    problems = [("g", "train"), ("g", "test"), ("g", "train"), ("h", "train")]
    assert list(split_groups(((*row, None) for row in problems), 0, {})) == [("g", "test"), ("h", "train")]


def test_groups_with_problems_of_an_earlier_version_are_not_drawn_again() -> None:
    problems = [("g", "train", "train"), ("h", "train", "test"), ("h", "train", None), ("i", "test", "train"),
                ("j", "train", "train"), ("j", "train", "validation"), ("k", "train", None)]
    assert list(split_groups(problems, 0, {"test": 0.999})) == [
        ("g", "train"), ("h", "test"), ("i", "test"), ("j", "validation"), ("k", "test")]


def test_a_validation_share_takes_from_train_and_leaves_the_test_split_as_it_is() -> None:
    """10,000 groups; a share of 0.1 more than 5 standard errors off happens once in a million runs by chance."""
    groups = [f"g{i}" for i in range(10_000)]
    both = [split_of(group, 7, "train", {"test": 0.05, "validation": 0.1}) for group in groups]
    assert abs(both.count("validation") - 1000) < 150
    assert [split == "test" for split in both] == [split_of(group, 7, "train", {"test": 0.05}) == "test"
                                                   for group in groups]


def test_a_split_depends_on_seed_and_group_alone() -> None:
    draws = [split_of(f"g{i}", 7, "train", {"test": 0.05}) for i in range(10_000)]
    assert draws == [split_of(f"g{i}", 7, "train", {"test": 0.05}) for i in range(10_000)]
    # The draws are fixed by the hash, so this cannot fail by chance; 500 expected, six standard deviations are 131.
    assert 369 < draws.count("test") < 631
    assert draws != [split_of(f"g{i}", 8, "train", {"test": 0.05}) for i in range(10_000)]


@pytest.mark.parametrize("fractions", [{"dev": 0.1}, {"test": -0.1}, {"test": 1.1}])
def test_impossible_fractions_are_refused(fractions: dict) -> None:
    with pytest.raises(ReleaseError, match="splits are"):
        split_of("g", 0, "train", fractions)


def test_rows_appended_at_the_end_leave_the_bytes_before_them(tmp_path: Path) -> None:
    for name, count in (("old", 4000), ("new", 4200)):
        tables = table(tmp_path, "positives", rows(range(count)))
        write_release(tmp_path / name, tables, {"name": "x"}, 100_000, 30_000)
    old, new = (sorted((tmp_path / name / "positives").glob("train-*")) for name in ("old", "new"))
    assert [sha256_file(path) for path in old[:-1]] == [sha256_file(path) for path in new[:len(old) - 1]]


def test_the_manifest_reads_as_json_with_letters_as_they_are(tmp_path: Path) -> None:
    write_release(tmp_path / "r", table(tmp_path, "positives", rows(range(3))), {"name": "Äpfel"})
    text = (tmp_path / "r/stepforge.json").read_text(encoding="utf-8")
    assert "Äpfel" in text and json.loads(text)["name"] == "Äpfel"
