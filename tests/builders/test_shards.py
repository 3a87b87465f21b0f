"""Files that are small and become large, or are no Parquet files at all, are seen before a row is read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.builders import shards
from stepforge.builders.manifest import ReleaseError
from stepforge.builders.shards import demand_shards, wrong_with_shard

IDS = [f"{n * 0x9E3779B97F4A7C15 % 2**128:032x}" for n in range(20_000)]


def repeated(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [text])


def one_list(values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def written(path: Path, table: pa.Table, **options: object) -> tuple[Path, int, dict[str, str]]:
    """The arguments of `wrong_with_shard` for a file that is what its manifest says."""
    pq.write_table(table, path, compression="zstd", **options)
    return path, table.num_rows, {field.name: str(field.type) for field in pq.read_schema(path)}


@pytest.mark.parametrize(("table", "options"), [
    (pa.table({"a": pa.nulls(3_000_000)}), {}),
    (pa.table({"id": IDS, "a": repeated("a" * 100_000, 20_000)}), {}),
    (pa.table({"a": ["a" * 1_000_000] * 100}), {"use_dictionary": False}),
    (pa.table({"a": ["a" * 100_000] * 2000}),
     {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}),
    (pa.table({"a": one_list(repeated("a" * 100_000, 20_000))}), {}),
    (pa.table({"a": one_list(pa.nulls(20_000_000))}), {}),
], ids=["rows", "one long text in a dictionary", "plain texts", "texts of one prefix", "a list of long texts",
        "a long list of nothing"])
def test_a_small_file_that_becomes_large_is_refused(tmp_path: Path, table: pa.Table, options: dict) -> None:
    faults = wrong_with_shard(*written(tmp_path / "x.parquet", table, **options))
    assert [(wrong.what, wrong.readable) for wrong in faults] == [
        ("it would expand to more than a release holds", False)], faults


@pytest.mark.parametrize("dictionary", [True, False])
def test_repeated_texts_of_a_release_are_no_bomb(tmp_path: Path, dictionary: bool) -> None:
    """A level in every row, and the few-shot prompt of 4 kB that all rows of a problem share."""
    table = pa.table({"id": IDS, "level": repeated("Level 5", 20_000),
                      "prompt": [f"{'shot ' * 800}{n // 50}" for n in range(20_000)]})
    assert wrong_with_shard(*written(tmp_path / "x.parquet", table, use_dictionary=dictionary)) == []


def test_many_columns_of_repeated_short_texts_are_no_bomb(tmp_path: Path) -> None:
    """What each may hold is allowed, what all may hold is not; what they do hold is."""
    texts = [f"{n % 30} is what this step of the solution comes to" for n in range(5000)]
    table = pa.table({"id": IDS[:5000]} | {f"text_{n}": pa.array(texts) for n in range(40)})
    assert wrong_with_shard(*written(tmp_path / "x.parquet", table)) == []


@pytest.mark.parametrize("content", [
    b"", b"PAR1", b"a,b\n1,2\n" * 100, b"\0" * 5000, b"PAR1" + b"\xff" * 50 + b"PAR1"])
def test_what_is_no_parquet_file_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    (wrong,) = wrong_with_shard(tmp_path / "x.parquet", 1, {})
    assert not wrong.readable and "\n" not in wrong.detail


def test_a_footer_that_claims_to_be_long_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + b"\0" * 100 + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    assert wrong_with_shard(tmp_path / "x.parquet", 1, {})[0].what == "its footer is too large"


def test_a_place_in_the_footer_outside_the_file_is_told(tmp_path: Path) -> None:
    """Polars panics there. A place is a varint, negative where it is odd."""
    path, *facts = written(tmp_path / "x.parquet", pa.table({"a": list(range(1000)), "b": list(range(1000))}),
                           use_dictionary=False)
    place = 2 * pq.read_metadata(path).row_group(0).column(1).data_page_offset
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[:footer] + content[footer:].replace(varint(place), varint(place - 1)))
    assert path.read_bytes() != content
    assert "a place in its footer is out of bounds" in wrong_with_shard(path, *facts)[0].detail


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def test_a_connection_that_became_useless_costs_one_file_alone(tmp_path: Path) -> None:
    """DuckDB answers nothing more after an internal error, which a footer may lead to."""
    sound = written(tmp_path / "x.parquet", pa.table({"a": [1]}))
    shards._footer_reader().close()
    assert [wrong.what for wrong in wrong_with_shard(*sound)] == ["it is no Parquet file that can be read"]
    assert wrong_with_shard(*sound) == []


def test_columns_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    """DuckDB takes them for one column."""
    wrong = wrong_with_shard(*written(tmp_path / "x.parquet", pa.table({"a": [1], "A": [2]})))
    assert [fault.what for fault in wrong] == ["two of its columns have one name"]


def test_other_columns_and_another_number_of_rows_are_told(tmp_path: Path) -> None:
    path, rows, columns = written(tmp_path / "x.parquet", pa.table({"a": [1]}))
    assert wrong_with_shard(path, rows, columns) == []
    faults = wrong_with_shard(path, rows + 1, columns | {"b": "string"})
    assert [wrong.what for wrong in faults] == ["columns differ from the manifest",
                                                "the number of rows differs from the manifest"]
    assert all(wrong.readable for wrong in faults)


def test_files_of_a_config_are_demanded_as_the_manifest_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                   ) -> None:
    (tmp_path / "pairs").mkdir()
    name = "pairs/train-00000-of-00001.parquet"
    _, rows, columns = written(tmp_path / name, pa.table({"a": ["x"]}))
    manifest = {"files": {name: {"config": "pairs", "split": "train", "rows": rows}},
                "configs": {"pairs": {"columns": columns}}}
    assert demand_shards(tmp_path, manifest, "pairs") == [tmp_path / name]
    assert demand_shards(tmp_path, manifest, "pairs", "test") == demand_shards(tmp_path, manifest, "steps") == []
    monkeypatch.setattr(shards, "FREE_ROWS", -10**9)
    with pytest.raises(ReleaseError, match="would expand to more"):
        demand_shards(tmp_path, manifest, "pairs")
    (tmp_path / name).unlink()
    with pytest.raises(ReleaseError, match="in the manifest but not in the folder"):
        demand_shards(tmp_path, manifest, "pairs")
