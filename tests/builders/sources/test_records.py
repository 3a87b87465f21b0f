"""Rows out of files of every format; each row is a record or a drop, and no file ends early in silence."""

import bz2
import gzip
import json
import lzma

import polars as pl
import pyarrow as pa
import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources import records
from stepforge.builders.sources.records import Drop, Record, read_records

ROWS = [{"q": "a", "n": 1.50, "s": {"t": ["x", None]}}, {"q": "é", "n": None, "s": {"t": []}}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
CSV = 'q,n\n"a, b",1.50\né,\n'.encode()
TEXTS = [{"q": "a", "n": "1.5", "s": {"t": ["x", None]}}, {"q": "é", "n": None, "s": {"t": []}}]


def gz(data):
    """The same bytes at any second: they are part of the names of tests, which all workers must agree on."""
    return gzip.compress(data, mtime=0)


def zst(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def values(path, columns=None):
    return [record.values for record in read_records([str(path)], columns)]


@pytest.mark.parametrize(("name", "data"), [
    ("x.jsonl", LINES), ("x.ndjson", b"\xef\xbb\xbf" + LINES), ("X.JSONL", LINES.replace(b"\n", b"\r\n")),
    ("x.jsonl.gz", gz(LINES[:40]) + gz(LINES[40:])), ("x.jsonl.zst", zst(LINES)),
    ("x.jsonl.bz2", bz2.compress(LINES)), ("x.ndjson.xz", lzma.compress(LINES)), ("x.json", LINES),
    ("x.json", json.dumps(ROWS).encode()), ("x.json", b"\xef\xbb\xbf\n" + json.dumps(ROWS, indent=2).encode()),
    ("x.json.gz", gz(json.dumps(ROWS, ensure_ascii=False).encode())), ("x.v1.jsonl", LINES),
])
def test_json_of_every_kind_gives_the_same_rows(name, data, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(data)
    assert values(tmp_path / name) == TEXTS
    monkeypatch.setattr(records, "BLOCK", 7)
    assert values(tmp_path / name) == TEXTS, "and where a row goes over the end of a block"


@pytest.mark.parametrize(("name", "data"), [
    ("x.csv", CSV), ("x.CSV.gz", gz(b"\xef\xbb\xbf" + CSV)),
    ("x.csv", CSV.replace(b",", b";").replace(b"a; b", b"a, b")), ("x.tsv", 'q\tn\na, b\t1.50\né\t\n'.encode())])
def test_tables_of_text_keep_cells_as_they_are(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    assert values(tmp_path / name) == [{"q": "a, b", "n": "1.50"}, {"q": "é", "n": ""}]


def test_a_file_may_be_one_object_and_a_table_by_columns_is_no_row(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.json").write_text(json.dumps({"problem": f"{number}?", "level": None}, indent=number))
    assert list(read_records([str(tmp_path)])) == [
        Record(f"{number}.json:1", {"problem": f"{number}?", "level": None}) for number in (1, 2)]
    for table in ({"q": {"0": "a", "1": "b"}, "n": {"0": "1", "1": "2"}}, {"q": ["a", "b"], "n": ["1", "2"]}):
        (tmp_path / "t.json").write_text(json.dumps(table))
        (drop,) = read_records([str(tmp_path / "t.json")])
        assert drop.reason == "malformed" and "orient='records', lines=True" in drop.detail
    for row in ({"q": ["a"], "n": ["1"]}, {"q": {"text": "a"}, "n": {"text": "1"}}, {"q": ["a", "b"], "n": ["1"]}):
        (tmp_path / "t.json").write_text(json.dumps(row))
        assert values(tmp_path / "t.json") == [row]


def test_the_separator_that_excel_states_is_taken(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"sep=;\r\nq, or p;n\r\na,b;2\r\n")
    assert list(read_records([str(tmp_path / "x.csv")])) == [Record("x.csv:3", {"q, or p": "a,b", "n": "2"})]


def test_a_comma_inside_a_quoted_name_separates_nothing(tmp_path):
    (tmp_path / "x.csv").write_text('"q, in words";n\na;1\n')
    assert values(tmp_path / "x.csv") == [{"q, in words": "a", "n": "1"}]


def test_parquet_and_both_kinds_of_arrow_give_the_same_rows(tmp_path):
    frame = pl.DataFrame(ROWS)
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ipc(tmp_path / "x.arrow")
    frame.write_ipc_stream(tmp_path / "y.arrow")
    for name in ("x.parquet", "x.arrow", "y.arrow"):
        assert values(tmp_path / name) == ROWS
        assert values(tmp_path / name, {"q", "absent"}) == [{"q": "a"}, {"q": "é"}]
        assert values(tmp_path / name, {"absent"}) == ROWS, "so that an error can name what there is"


def test_short_floats_are_the_numbers_that_were_written(tmp_path):
    short = pl.Float32
    kinds = {"a": short, "l": pl.List(short), "s": pl.Struct({"x": short}), "w": pl.Array(short, 1)}
    row = {"a": 0.1, "l": [2.7, None], "s": {"x": 0.3}, "w": [1e-7]}
    frame = pl.DataFrame([row, dict.fromkeys(row)], schema=kinds)
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ipc(tmp_path / "x.arrow")
    for name in ("x.parquet", "x.arrow"):
        first, empty = values(tmp_path / name)
        assert first == row and empty["a"] is None and empty["l"] is None


def test_folder_holds_data_of_one_format(tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    for name in ("in/b.jsonl", "in/deep/a.jsonl", "in/README.md", "in/.hidden.jsonl"):
        (tmp_path / name).write_bytes(LINES)
    assert [r.where for r in read_records([str(tmp_path / "in")])] == ["b.jsonl:1", "b.jsonl:2", "a.jsonl:1",
                                                                       "a.jsonl:2"]
    (tmp_path / "in/state.json").write_text("{}")
    with pytest.raises(SourceError, match="formats .json, .jsonl; select one of them with a glob"):
        list(read_records([str(tmp_path / "in")]))


def test_lines_that_are_no_row_are_dropped_one_by_one(tmp_path):
    lines = [b'{"n": NaN, "i": -Infinity, "big": 123456789012345678901234567890, "f": 1e400}', b'{"torn', b"[1]", b"",
             b'{"x": "\xff"}', b'{"a":' * 100_000, b'{"last": 1}']
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    first, *dropped, last = read_records([str(tmp_path / "x.jsonl")])
    assert first.values == {"n": None, "i": None, "big": "123456789012345678901234567890", "f": "1e400"}
    assert [(drop.where, drop.reason) for drop in dropped] == [
        (f"x.jsonl:{n}", "malformed") for n in (2, 3, 5, 6)] and all(isinstance(drop, Drop) for drop in dropped)
    assert last == Record("x.jsonl:7", {"last": "1"})
    assert "the line is not UTF-8; save the file as UTF-8, as `iconv" in dropped[2].detail


@pytest.mark.parametrize(("name", "start", "between", "end"), [("x.jsonl", "", "\n", ""), ("x.json", "[", ",", "]")])
def test_a_key_with_two_values_costs_its_row_alone(tmp_path, monkeypatch, name, start, between, end):
    """Whichever of two golds a reader took, it might be the wrong one."""
    monkeypatch.setattr(records, "BLOCK", 16)
    rows = ['{"a": 1, "b": {"c": 2, "c": 2}}', '{"a": 1, "a": 2}', '{"b": [{"c": "x", "d": 0, "c": "y"}]}', '{"a": 3}']
    (tmp_path / name).write_text(start + between.join(rows) + end)
    first, *twice, last = read_records([str(tmp_path / name)])
    assert (first.values, last.values) == ({"a": "1", "b": {"c": "2"}}, {"a": "3"})
    assert twice == [Drop(f"{name}:{row}", "malformed", f"an object has the key {key!r} twice, with two values")
                     for row, key in ((2, "a"), (3, "c"))]


@pytest.mark.parametrize(("name", "data", "message"), [
    ("x.json", b'[{"a": 1}, {"a": 2', "after element 1"), ("x.json", b'[{"a": 1} {"a": 2}]', "after element 1"),
    ("x.json", b'{\n "a": [{"q": 1}]\n}', r"one object; allowed are an array .*jq -c '\.a\[\]'"),
    ("x.json", b'{\n "a": 1\n}\n{\n "a": 2\n}', "objects over several lines; .* `jq -c .`"),
    ("x.jsonl.gz", gz(LINES)[:-9], "read"),
    ("x.jsonl.zst", zst(LINES)[:-4], "cannot read"), ("x.jsonl", "{}".encode("utf-16"), "UTF-16"),
    ("x.json", b'[{"a": "caf\xe9"}]', "it is not UTF-8; save the file as UTF-8, as `iconv -f CP1252"),
    ("x.csv", "frage,l\u00f6sung\n1,2\n".encode("cp1252"), "it is not UTF-8; .* such as GB18030"),
    ("x.csv", b"a,a\n1,2\n", r"contains the columns \['a'\] twice"), ("x.parquet", b"PAR1", "cannot read"),
    ("x.csv", b'a,b\n1,2\n3,"open\n4,5\n', r"begins in line 3 has a quoted cell that does not end"),
    ("x.csv", b'a,b\n1,"open\n2,"3"\n4,5\n', 'begins in line 2 .* a quote is written twice: ""'),
    ("x.csv", b'a,b\n1,"he \\"said\\" 2"\n', "line 2"), ("x.tsv", b'a\tb\n"Half" of 4\t2\n', "line 2"),
    ("x.arrow", b"ARROW1", "cannot read"), ("x.parquet.gz", b"", "'.parquet.gz' is not read"),
    ("x.xlsx", b"", "'.xlsx' is not read"), ("x", b"", "'' is not read"),
])
def test_file_that_cannot_be_read_to_its_end_is_an_error(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=message):
        list(read_records([str(tmp_path / name)]))


def test_cells_that_are_no_utf8_cost_their_row_alone(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"q\ngood\n\xff\nshort,\n")
    good, half, drop = read_records([str(tmp_path / "x.csv")])
    assert good.values == {"q": "good"} and half.values == {"q": "\udcff"} and drop.reason == "malformed"
