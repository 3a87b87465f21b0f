"""What a row of recorded samples becomes, without a run."""

import json

import pytest
from helpers.world import filled

from stepforge.builders.parquet import write_rows
from stepforge.builders.sources.mapping import normal
from stepforge.builders.tables import TABLES
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.stages.generate.matching import KnownProblem, known_problems
from stepforge.pipelines.stages.generate.recorded import _Reader

KNOWN = {normal("Caf\u00e9?\n5"): (KnownProblem("p", 0),), "twice": (KnownProblem("q", 1), KnownProblem("r", 2)),
         "id7": (KnownProblem("p", 0),)}


@pytest.fixture
def read(tmp_path):
    def reading(*rows, known=KNOWN, **options):
        (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, rows)))
        generator = RecordedGenerator(engine="recorded", name="g", paths=[str(tmp_path / "s.jsonl")], **options)
        parts = list(_Reader(generator, known).rows())
        drops = [(drop.where, drop.reason) for _, dropped, _ in parts for drop in dropped]
        return [row for rows, *_ in parts for row in rows], drops

    return reading


def test_problem_is_found_by_composed_text_and_never_guessed_among_two(read):
    rows, drops = read({"problem": "Cafe\u0301?\r\n  5", "solution": "a"}, {"problem": "twice", "solution": "b"},
                       {"problem": None, "solution": "c"}, {"problem": "cafe? 5", "solution": "d"})
    assert [(row["problem_id"], row["solution"]) for row in rows] == [("p", "a")]
    assert drops == [("s.jsonl:2:0", "several_problems"), ("s.jsonl:3:0", "no_problem"), ("s.jsonl:4:0", "no_problem")]


def test_ids_join_through_a_pattern(read):
    rows, drops = read({"key": "id7-0", "solution": "a"}, {"key": "id8-0", "solution": "a"}, join=r"key ~ ^(\w+)-")
    assert [row["problem_id"] for row in rows] == ["p"] and drops == [("s.jsonl:2:0", "no_problem")]


def test_a_whole_number_joins_as_a_float_too_and_never_a_problem_of_another_id(read, tmp_path):
    ids = ["7", "8.0", "9", "9.0", "1.5", "v2.0", "1_0"]
    write_rows(tmp_path / "problems.parquet", [
        filled("problems", problem_id=f"p{at}", problem=f"Q{at}", source_id=name) | dict.fromkeys(
            ("answer", "source", "split", "group_id", "license"), "train") for at, name in enumerate(ids)],
        TABLES["problems"].schema)
    known, _ = known_problems(tmp_path / "problems.parquet", tmp_path / "drops.parquet", by_id=True)
    asked = [(7.0, "p0"), ("7", "p0"), (8, "p1"), ("8.00", "p1"), (9, "p2"), (9.0, "p3"), (1.5, "p4"), ("v2.0", "p5"),
             ("v2", None), (10, None), (70, None)]
    rows, _ = read(*({"key": key, "solution": str(key)} for key, _ in asked), known=known, join="key")
    assert [(row["solution"], row["problem_id"]) for row in rows] == [(str(key), name) for key, name in asked if name]


def test_an_id_of_a_duplicate_names_the_problem_that_stayed(tmp_path):
    write_rows(tmp_path / "problems.parquet", [
        filled("problems", problem_id=name, problem=name, source="files", source_id=key) | dict.fromkeys(
            ("answer", "split", "group_id", "license"), "train")
        for name, key in (("p", "1"), ("q", "2"), ("r", "x:9"))],
        TABLES["problems"].schema)
    golds = [("3", "the same problem as files:4"), ("4", "the same problem as files:1, which has a gold answer"),
             ("5", "the same problem as files:x:9"), ("2", "the same problem as files:1"),
             ("6", "the same problem as files:7"), ("7", "the same problem as files:6")]
    write_rows(tmp_path / "drops.parquet", [
        {"stage": "problems", "row_id": f"files:{key}", "reason": "duplicate", "detail": detail}
        for key, detail in golds],
        TABLES["drops"].schema)
    known, count = known_problems(tmp_path / "problems.parquet", tmp_path / "drops.parquet", by_id=True)
    named = {key: "".join(place.problem_id for place in known.get(key, ())) for key in "1234567"}
    assert count == 3 and named == {"1": "p", "2": "qp", "3": "p", "4": "p", "5": "r", "6": "", "7": ""}


@pytest.mark.parametrize(("options", "advice"), [({}, "give `join`"), ({"join": "problem"}, "a source_id of its own")])
def test_a_row_that_names_two_problems_says_what_to_do(tmp_path, options, advice):
    (tmp_path / "s.jsonl").write_text('{"problem": "twice", "solution": "b"}')
    generator = RecordedGenerator(engine="recorded", name="g", paths=[str(tmp_path / "s.jsonl")], **options)
    ((_, (drop,), _),) = _Reader(generator, KNOWN).rows()
    assert drop.reason == "several_problems" and advice in drop.detail


def test_what_is_told_of_a_list_goes_to_its_samples_or_the_row_is_malformed(read):
    mapping = {"solutions": "s", "finish_reason": "f", "seed": "i", "completion_tokens": "n", "upstream_verdict": "v"}
    rows, drops = read(
        {"problem": "id7", "s": ["a", "b"], "f": ["stop", "length"], "i": 3, "n": [5, "x"], "v": [1.0, "odd"]},
        {"problem": "id7", "s": ["a", "b", "c"], "f": ["stop", "length"]}, {"problem": "id7", "s": []},
        columns=mapping)
    assert [(row["finish_reason"], row["complete"], row["seed"], row["completion_tokens"], row["upstream_verdict"])
            for row in rows] == [("stop", True, 3, 5, "correct"), ("length", False, 3, None, "odd")]
    assert drops == [("s.jsonl:2", "malformed"), ("s.jsonl:3:0", "no_solution")]


def test_samples_are_counted_by_problem_and_model(read):
    made = [{"problem": "id7", "solution": f"{n}", "m": m} for n, m in enumerate(["x", "x", "y", None, "x"])]
    rows, drops = read(*made, columns={"solution": "solution", "generator": "m"}, samples=2)
    assert [(row["generator"], row["sample_index"], row["solution"]) for row in rows] == [
        ("x", 0, "0"), ("x", 1, "1"), ("y", 0, "2"), ("g", 0, "3")]
    assert len({row["generator_id"] for row in rows}) == 3 and drops == [("s.jsonl:5:0", "over_limit")]


@pytest.mark.parametrize(("columns", "expected"), [
    ({"f": "eos"}, ("stop", True)), ({"f": "max_tokens"}, ("length", False)), ({"f": "odd"}, ("unknown", None)),
    ({"f": {"type": "stop", "stop_sequence": "x"}}, ("stop", True)), ({"f": {"reason": "length"}}, ("length", False)),
    ({"f": {}}, ("unknown", None)), ({}, ("unknown", None)),
    ({"f": "content_filter"}, ("filtered", False)), ({"f": "tool_calls"}, ("tool_calls", False)),
    ({"f": "abort", "c": True}, ("aborted", False)), ({"c": True}, ("unknown", True)),
    ({"c": "false"}, ("length", False)), ({"c": False, "f": "stop"}, ("stop", False)),
    ({"f": "incomplete"}, ("length", False)), ({"c": "truncated"}, ("length", False)),
    ({"solution": "<|begin_of_solution|>\n\n9 x"}, ("length", False)),
    ({"c": True, "f": "length"}, ("length", False)), ({"c": "perhaps"}, ("unknown", None))])
def test_how_a_sample_ended_is_what_it_says_and_nothing_more(read, columns, expected):
    (row,), _ = read({"problem": "id7", "solution": "a", "f": None, "c": None} | columns,
                     columns={"solution": "solution", "finish_reason": "f", "complete": "c"})
    assert (row["finish_reason"], row["complete"]) == expected


@pytest.mark.parametrize(("written", "thought", "solution"), [
    ("<think>\nt</think>\na", "t", "a"), ("t</think>a", "t", "a"), ("<think>t", "t", ""),
    ("<thinking>t</thinking>\n\na", "t", "a"), ("<THINK>t</THINK>a", "t", "a"), ("[THINK]t[/THINK]a", "t", "a"),
    ("\u25c1think\u25b7t\u25c1/think\u25b7a", "t", "a"), ("[THINK]t", "t", ""),
    ("<|channel|>analysis<|message|>t<|channel|>final<|message|>a", "t", "a"),
    ("<|begin_of_thought|>t<|end_of_thought|>a", "t", "a"), ("<reasoning>t</reasoning>a", "t", "a"),
    ("<|START_THINKING|>t<|END_THINKING|>a", "t", "a"),
    ("Here is my thought process:\nt\nHere is my response:\na", "t", "a"),
    ("<|begin_of_thought|>t<|end_of_thought|>\n<|begin_of_solution|>\na\n<|end_of_solution|>", "t", "a"),
    ("<think>t</think>b<think>u</think>a", "t</think>b<think>u", "a"),
    ("a [THINK]t[/THINK]", None, "a [THINK]t[/THINK]"), ("3 <4> 5", None, "3 <4> 5")])
def test_a_thought_is_told_apart_in_the_marks_of_any_model(read, written, thought, solution):
    (kept,), _ = read({"problem": "id7", "solution": written}, thoughts="column")
    (dropped,), _ = read({"problem": "id7", "solution": written}, thoughts="drop")
    (inline,), _ = read({"problem": "id7", "solution": written}, thoughts="inline")
    assert (kept["solution"], kept["thought"], dropped["solution"], dropped["thought"]) == (
        solution, thought, solution, None)
    assert inline["solution"] == ("<think>" if written.startswith("t<") else "") + written


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>", "\n<|eot_id|>\n", "<|end|><|return|>"])
@pytest.mark.parametrize("thoughts", ["inline", "drop"])
def test_the_mark_that_ends_a_turn_is_no_part_of_the_solution(read, end, thoughts):
    (row,), _ = read({"problem": "id7", "solution": f"The answer is 7.{end}"}, thoughts=thoughts)
    assert row["solution"] == "The answer is 7."


@pytest.mark.parametrize(("word", "verdict"), [("C", "correct"), ("I", "incorrect"), ("N", "N")])
def test_letters_of_verdicts_are_read(read, word, verdict):
    columns = {"solution": "solution", "upstream_verdict": "v"}
    (row,), _ = read({"problem": "id7", "solution": "a", "v": word}, columns=columns)
    assert row["upstream_verdict"] == verdict


@pytest.mark.parametrize(("kept", "text", "solution", "thought"), [
    ("inline", "<think>t</think>a", "<think>t</think>a", None), ("drop", "<think>t</think>a", "a", None),
    ("column", "<think>t</think>a", "a", "t"), ("column", "[THINK]u[/THINK]a", "a", "t\nu"),
    ("inline", "[THINK]u[/THINK]a", "<think>t</think>[THINK]u[/THINK]a", None)])
def test_a_thought_in_a_column_and_in_the_text_is_one_thought(read, kept, text, solution, thought):
    (row,), _ = read({"problem": "id7", "t": "t", "a": text}, columns={"solution": "a", "thought": "t"}, thoughts=kept)
    assert (row["solution"], row["thought"]) == (solution, thought)


@pytest.mark.parametrize(("kept", "solution", "thought"), [
    ("inline", "<think>t</think>a", None), ("column", "a", "t"), ("drop", "a", None)])
def test_thoughts_go_where_the_recipe_says(read, kept, solution, thought):
    (row,), _ = read({"problem": "id7", "t": "t", "a": "a"}, columns={"solution": "a", "thought": "t"}, thoughts=kept)
    assert (row["solution"], row["thought"]) == (solution, thought)


def test_a_step_of_several_texts_is_no_step(read):
    """Rated alternatives of each step would otherwise become one solution that nobody wrote."""
    one, two = {"a": [{"t": "x"}]}, {"a": [{"t": "y"}, {"t": "z"}], "c": 1}
    columns = {"steps": "s[].a[].t"}
    rows, drops = read({"problem": "id7", "s": [one, one]}, {"problem": "id7", "s": [one, two]}, columns=columns)
    assert [row["solution"] for row in rows] == ["x\nx"] and drops == [("s.jsonl:2", "malformed")]
    rows, drops = read({"problem": "id7", "s": [{**one, "c": 0}, two]}, columns={"steps": "s[].a[c].t"})
    assert [row["solution"] for row in rows] == ["x\nz"] and drops == []
    parts = [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}]
    rows, _ = read({"problem": "id7", "s": [parts, "r"]}, columns={"steps": "s"})
    assert [row["solution"] for row in rows] == ["pq\nr"]


MARKED = "Step 1: 3+4=7 \u043a\u0438\nStep 2: The answer is: 7 \u043a\u0438"
PLAIN = "Step 1: 3+4=7\nStep 2: The answer is: 7"


@pytest.mark.parametrize(("mark", "text", "labels", "solution", "expected"), [
    ("\u043a\u0438", MARKED, MARKED.replace("\u043a\u0438", "+"), PLAIN, ["+", "+"]),
    ("\u043a\u0438", MARKED, "Step 1: 3+4=7 +\nStep 2: The answer is: 7 -", PLAIN, ["+", "-"]),
    ("\u043a\u0438", MARKED, ["1", "-1"], PLAIN, ["1", "-1"]), ("\u043a\u0438", MARKED, None, PLAIN, None),
    ("\u043a\u0438", MARKED, "Step 1: 3+4=8 +\nStep 2: The answer is: 7 -", None, None),
    ("\u043a\u0438", MARKED, "Step 1: 3+4=7 +\nStep 2: The answer is: 7", None, None),
    ("\u043a\u0438", MARKED, "Step 1: 3+4=7 +\nStep 2: The answer is: 7 + -", None, None),
    ("\u043a\u0438", "Step 1: So 7. \u043a\u0438", "Step 1: So 7. -", "Step 1: So 7.", ["-"]),
    ("\u043a\u0438", "Step 1: So 7. \u043a\u0438", "Step 1: So 8. -", None, None),
    ("<extra_0>", "3+4=7<extra_0>So 7.<extra_0>", "3+4=7+So 7.-1", "3+4=7\nSo 7.", ["+", "-1"]),
    (None, MARKED, None, None, None), (None, "3+4=7<extra_0>So 7.", None, None, None),
    (None, "\u042f\u0431\u043b\u043e\u043a\u0438: 7", None, "\u042f\u0431\u043b\u043e\u043a\u0438: 7", None)])
def test_marks_between_steps_are_removed_or_refused_and_never_solutions(read, mark, text, labels, solution, expected):
    rows, drops = read({"problem": "id7", "input": text, "label": labels}, step_mark=mark,
                       columns={"solution": "input", "upstream_labels": "label"})
    assert [(row["solution"], row["upstream_labels"]) for row in rows] == [(solution, expected)] * bool(solution)
    assert drops == [("s.jsonl:1:0", "malformed")] * (not solution)


def test_a_step_has_one_label_and_a_label_has_a_step(read):
    columns = {"steps": "s", "upstream_labels": "l[].r"}
    rows, drops = read({"problem": "id7", "s": ["x", "y"], "l": [{"r": 1}]},
                       {"problem": "id7", "s": ["x"], "l": [{"r": 1}, {"r": 0}]},
                       {"problem": "id7", "s": ["x", "y"], "l": [{"r": [1, 0]}]}, columns=columns)
    assert [row["upstream_labels"] for row in rows] == [["1"]]
    assert drops == [("s.jsonl:2", "malformed"), ("s.jsonl:3", "malformed")]


def test_steps_are_one_sample_and_a_list_is_no_solution(read):
    rows, drops = read({"problem": "id7", "s": ["a\n", "b"], "l": [1, -1], "e": -1},
                       {"problem": "id7", "s": ["a", None]},
                       columns={"steps": "s", "upstream_labels": "l", "upstream_first_error": "e"})
    assert [(row["solution"], row["upstream_labels"], row["upstream_first_error"]) for row in rows] == [
        ("a\nb", ["1", "-1"], -1)]
    assert drops == [("s.jsonl:2", "malformed")]
    rows, drops = read({"problem": "id7", "solution": ["a"]}, {"problem": "id7", "solution": "b"})
    assert [row["solution"] for row in rows] == ["b"] and drops == [("s.jsonl:1", "malformed")]


@pytest.mark.parametrize(("tokens", "each"), [(9, [None, None]), ([4, 5], [4, 5]), ([9], [None, None]),
                                              ([0, 5], [None, 5])])
def test_one_number_of_tokens_for_several_samples_is_of_none_of_them(read, tokens, each):
    rows, _ = read({"problem": "id7", "s": ["a", "b"], "n": tokens, "p": 7},
                   columns={"solutions": "s", "completion_tokens": "n", "prompt_tokens": "p"})
    assert [row["completion_tokens"] for row in rows] == each and [row["prompt_tokens"] for row in rows] == [7, 7]
    (row,), _ = read({"problem": "id7", "s": ["a"], "n": 9}, columns={"solutions": "s", "completion_tokens": "n"})
    assert row["completion_tokens"] == 9


@pytest.mark.parametrize(("row", "reason"), [
    ({"response": {"status_code": 500, "body": {"error": {"message": "overloaded"}}}}, "failed_request"),
    ({"response": None, "error": {"code": "batch_expired"}}, "failed_request"),
    ({"response": {"status_code": 200, "body": {"error": {"message": "odd"}}}}, "failed_request"),
    ({"response": {"status_code": 503, "body": None}}, "failed_request"),
    ({"result": {"type": "expired"}}, "failed_request"), ({"result": {"type": "errored"}}, "failed_request"),
    ({"response": {"status_code": 200, "body": {"t": ""}}, "error": None}, "no_solution"),
    ({"response": {"body": {"t": ""}}}, "no_solution"),
    ({"response": {"status_code": 200.0, "body": {"t": ""}}}, "no_solution"),
    ({"result": {"type": "succeeded"}}, "no_solution"),
    ({"response": {"status_code": 200, "body": {"t": "a"}}}, None)])
def test_a_row_whose_request_failed_says_so(read, row, reason):
    rows, drops = read({"problem": "id7", "response": None} | row, columns={"solution": "response.body.t"})
    assert drops == [("s.jsonl:1:0", reason)] * bool(reason) and len(rows) == (reason is None)


def test_an_error_beside_a_text_is_no_failed_request(read):
    rows, drops = read(*[{"problem": "id7", "solution": "a", "error": "late"}] * 2, samples=1)
    assert len(rows) == 1 and drops == [("s.jsonl:2:0", "over_limit")]


@pytest.mark.parametrize(("options", "message"), [
    ({"columns": {"solution": "a", "steps": "b"}}, "one of solution, solutions, steps"), ({"columns": {}}, "none"),
    ({"join": "k", "columns": {"problem": "p", "solution": "s"}}, "either columns.problem or `join`"),
    ({"join": "k..", "columns": {"solution": "s"}}, "cannot be parsed"),
    ({"columns": {"solutions": "s", "upstream_labels": "l"}}, "upstream_labels")])
def test_mapping_that_does_not_fit_is_refused(read, options, message):
    with pytest.raises(ValueError, match=message):
        read({}, **options)


def test_ids_of_samples_do_not_name_a_folder_of_one_machine():
    """A file that has moved keeps its ids, and with them what was paid for its rollouts."""
    def id_of(**place):
        return generator_id(RecordedGenerator(engine="recorded", name="g", **place))

    assert id_of(paths=["/home/ann/s.jsonl"]) == id_of(paths=["/data/bo/s.jsonl"]) != id_of(paths=["/data/bo/t.jsonl"])
    assert id_of(paths=["s.jsonl"]) != id_of(paths=["s.jsonl"], step_mark="|")
    assert id_of(paths=["weak/s.jsonl"]) != id_of(paths=["strong/s.jsonl"])
    assert id_of(paths=["s3://a/s.jsonl"]) != id_of(paths=["s3://b/s.jsonl"])
    assert id_of(hub="/home/ann/set") == id_of(hub="~/set") != id_of(hub="org/set")
