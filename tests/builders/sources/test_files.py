"""Users' files: every row becomes a problem or a drop with a reason."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.files import group_of, load
from stepforge.builders.sources.hub import read_hub
from stepforge.builders.sources.records import Drop, read_records

COLUMNS = {"problem": "q", "answer": "a"}


def read(path, columns=COLUMNS):
    return list(load(read_records([str(path)]), columns, "files", "train", "MIT"))


def test_bad_jsonl_rows_are_dropped_with_their_place_and_reason(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"q": "1+1?", "a": 2}\n{"q": "torn\n[1]\n\n{"q": "", "a": "3"}\n{"q": "x", "a": null}\n'
                    '{"q": "y", "a": [1]}\n{"q": "z", "a": [1, 2]}\n{"q": "z", "a": {"b": 1}}\n')
    first, *rest, = read(path)
    second = rest.pop(4)
    assert (first["problem"], first["answer"], first["source_id"]) == ("1+1?", "2", "p.jsonl:1")
    assert (second["problem"], second["answer"]) == ("y", "1"), "a list with one answer"
    assert [(drop.where, drop.reason) for drop in rest] == [
        ("p.jsonl:2", "malformed"), ("p.jsonl:3", "malformed"), ("p.jsonl:5", "no_problem"),
        ("p.jsonl:6", "no_gold"), ("p.jsonl:8", "many_values"), ("p.jsonl:9", "malformed"),
    ]


def test_a_gold_with_its_steps_is_the_answer_behind_the_mark(tmp_path):
    given = [("3 + 4 = 7\n#### 7", None), ("#### 1,200", None), ("3 + 4\n#### 7\n", "own"), ("#### a\nb", None)]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"q": f"{n}?", "a": a, "s": s})
                                                for n, (a, s) in enumerate(given)))
    given = read(tmp_path / "p.jsonl", COLUMNS | {"reference_solution": "s"})
    assert [(row["answer"], row["reference_solution"]) for row in given] == [
        ("7", "3 + 4 = 7"), ("1,200", None), ("7", "own"), ("#### a\nb", None)]


def test_csv_and_parquet_give_the_same_problems(tmp_path):
    (tmp_path / "p.csv").write_text('q,a\n"How many, in all?",7\nshort row\n')
    pq.write_table(pa.table({"q": ["How many, in all?"], "a": [7]}), tmp_path / "p.parquet")
    from_csv, drop = read(tmp_path / "p.csv")
    (from_parquet,) = read(tmp_path / "p.parquet")
    assert {**from_csv, "source_id": ""} == {**from_parquet, "source_id": ""}
    assert isinstance(drop, Drop) and drop.reason == "malformed"


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "Wie gro\u00df?"), ("gb18030", "\u591a\u5c11\uff1f")])
def test_cells_of_another_encoding_are_dropped_and_say_how_to_convert_the_file(tmp_path, encoding, text):
    (tmp_path / "p.csv").write_text(f"q,a\n{text},7\nx,8\n", encoding=encoding)
    drop, row = read(tmp_path / "p.csv")
    assert row["problem"] == "x" and drop.reason == "malformed"
    assert drop.detail.startswith("'q' is not UTF-8; save the file as UTF-8, as `iconv -f CP1252 -t UTF-8 OLD > NEW`")


@pytest.mark.parametrize(("name", "content", "message"), [
    ("p.jsonl", '{"question": "x", "a": 1}', "no column \\['q'\\]"),
    ("p.jsonl", '{"items": [{"q": "x", "a": 1}]}', r"The objects of the list 'items' have them.*jq -c '\.items\[\]'"),
    ("p.jsonl", '{"items": [{"x": 1}]}', r"Map the columns in the recipe\.$"),
    ("p.txt", "hello", "format '.txt' is not read"),
    ("p.parquet", "not parquet", "cannot read"),
])
def test_unusable_source_is_one_clear_error(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=message):
        read(tmp_path / name)


def test_a_null_in_a_template_of_a_problem_is_empty_beside_a_text(tmp_path):
    given = [{"i": "Add 1 and 2.", "x": None}, {"i": None, "x": "1 + 2?"}, {"i": "Add.", "x": "1, 2"}, {"i": "Solve."},
             {"i": None, "x": None}, {"i": " ", "x": None}, {"i": "", "x": ""}]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(row | {"a": "3"}) for row in given))
    *rows, null, blank, empty = read(tmp_path / "p.jsonl", {"problem": "{i}\\n{x}", "answer": "a"})
    assert [row["problem"] for row in rows] == ["Add 1 and 2.", "1 + 2?", "Add.\n1, 2", "Solve."]
    assert [drop.detail for drop in (null, blank, empty)] == [
        "the problem is empty: 'i' and 'x' are null", "the problem is empty: 'x' is null", "the problem is empty"]
    assert {drop.reason for drop in (null, blank, empty)} == {"no_problem"}
    *rows, null, blank, _ = read(tmp_path / "p.jsonl", {"problem": "Q: {i} {x}", "answer": "a"})
    assert rows[0]["problem"] == "Q: Add 1 and 2." and null.reason == blank.reason == "no_problem"
    (missed,) = {row.detail for row in read(tmp_path / "p.jsonl", {"problem": "a", "answer": "a ~ #### (.+)"})}
    assert missed == "the answer is empty: the pattern finds nothing in 'a'"
    (gold,) = {row.reason for row in read(tmp_path / "p.jsonl", {"problem": "a", "answer": "{i}/{x}"})[:2]}
    assert gold == "no_gold", "half an answer is none"


def test_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(SourceError, match="no file matches"):
        read(tmp_path / "absent.jsonl")


def test_variants_with_other_numbers_share_a_group():
    assert group_of("Tom has 12 pens.") == group_of("tom has  34 pens.") != group_of("Tom has 123 pens.")


def test_placeholders_are_no_gold_and_words_that_may_be_answers_are(tmp_path):
    given = ["proof", "Proof.", "notfound", "Not found", "N/A", "None", "null", "nan", "?", "--", "(unknown)", " ",
             "none", "no solution", "No", "0", "-1", "A"]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"q": f"{n}?", "a": a}) for n, a in enumerate(given)))
    outcomes = read(tmp_path / "p.jsonl")
    assert {row.reason for row in outcomes[:12]} == {"no_gold"}
    assert [row["answer"] for row in outcomes[12:]] == given[12:]


def test_data_set_of_the_hub_is_read_under_the_same_mapping(tmp_path):
    """A folder stands for the data set: `datasets` reads both alike."""
    (tmp_path / "set/data").mkdir(parents=True)
    rows = [{"doc": {"q": "1+1?", "golds": [2]}, "other": None}, {"doc": {"q": "2+2?", "golds": []}, "other": None}]
    (tmp_path / "set/data/test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns = {"problem": "doc.q", "answer": "doc.golds"}
    first, second = load(read_hub(str(tmp_path / "set"), None, "test", None, {"doc"}), columns, "hub", "test", "MIT")
    assert (first["problem"], first["answer"], first["source"], first["split"]) == ("1+1?", "2", "hub", "test")
    assert second.reason == "no_gold"
    short = pa.table({"q": ["3/30?"], "a": pa.array([0.1], pa.float32()), "w": pa.array([0.1])})
    (tmp_path / "short").mkdir()
    pq.write_table(short, tmp_path / "short/train.parquet")
    (row,) = read_hub(str(tmp_path / "short"), None, "train", None, {"q", "a", "w"})
    assert (row.values["a"], row.values["w"]) == ("0.1", 0.1)
    for place in ((str(tmp_path / "set"), None, "train", None), (str(tmp_path / "none"), None, "test", None)):
        with pytest.raises(SourceError, match="cannot load"):
            list(read_hub(*place))
