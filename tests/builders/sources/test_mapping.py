"""The mapping language: what a path finds, and what it refuses to guess."""

import json

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.mapping import Column, Path, map_rows, normal

ROW = {"a": {"b": [{"c": "1"}, {"c": "2", "d": None}]}, "flat.name": "x",
       "text": '{"k": ["v", 2.50]}', "n": 47.0,
       "odd": {"x.y": "z"}, "steps": [{"all": ["p", "q"], "chosen": "1"}, {"all": ["r"], "chosen": None}],
       "list": ["one", ["two", None]], "all": ["p", "q"], "at": "1.0",
       "flag": True, "word": "hello", "nan": float("nan"),
       "chat": [{"content": "u"}, {"content": [{"type": "text", "text": "v"}, {"type": "output_text", "text": "w"}]}],
       "thought": [{"type": "reasoning", "reasoning": "t"}, {"type": "text", "text": "v"}],
       "seen": [{"type": "text", "text": "v"}, {"type": "image_url", "text": None}],
       "json": '["u", "v"]', "interval": "[1, 2]"}


def texts(column, **options):
    mapped = map_rows([ROW], {"ours": Column(column)}, **options)
    assert not mapped.misfits, mapped.misfits
    return mapped.frame["ours"].to_list()[0]


@pytest.mark.parametrize(("column", "values"), [
    ("a.b[0].c", ["1"]), ("a.b[-2].c", ["1"]), ("a.b[].c", ["1", "2"]), ("a.b[*].c", ["1", "2"]),
    ("a.b[].d", [None, None]), ("a.b[7].c", []),
    ("absent", []), ("a.absent.c", []), ("flat.name", ["x"]), ('odd["x.y"]', ["z"]), ("text.k[0]", ["v"]),
    ("text.k[1]", ["2.50"]), ("n", ["47.0"]), ("flag", ["true"]), ("nan", []), ("steps[].all[chosen]", ["q", None]),
    ("list", ["one", "two", None]), ("json", ['["u", "v"]']), ("{a.b[0].c} and {flat.name}", ["1 and x"]),
    ("{a.b[0].c}{absent}", []),
    ("{word}\\n{n}", ["hello\n47.0"]), ("all[at]", ["q"]),
    ("thought", ["<think>t</think>\nv"]), ("chat[-1].content", ["vw"]), ("chat[].content", ["u", "vw"]),
    (r"flat.name ~ ^x$", ["x"]), (r"n ~ ^(\d+)\.", ["47"]), ("n ~ ^a", [None]),
    (r"a.b[].c ~ [12]", ["1", "2"]), (r"{n} {n} ~ \d+ (\d)", ["4"]),
])
def test_what_a_column_finds(column, values):
    assert texts(column) == values


@pytest.mark.parametrize(("written", "read"), [
    (r"\frac12 \beta \boxed{3}", r"\frac12 \beta \boxed{3}"), (r"\text{cm} \theta", r"\text{cm} \theta"),
    (r"\rho \frac12 x \neq 3", r"\rho \frac12 x \neq 3"), (r"a\tb\nneq c\f d", "a\tb\nneq c\f d"),
    (r"x \nequals", "x \nequals"), (r"Answer:\tfraction \t an integer", "Answer:\tfraction \t an integer"),
    (r"\to\tItem", "\to\tItem"), (r"\frac12\nLet\nmidnight\nequation", r"\frac12" "\nLet\nmidnight\nequation")])
def test_latex_that_json_has_eaten_is_put_back(written, read):
    """`\\f`, `\\b`, `\\t`, `\\r` and `\\n` are escapes of JSON, so nothing tells of the backslash that was meant."""
    mapped = map_rows([json.loads(f'{{"a": "{written}"}}')], {"ours": Column("a")})
    assert mapped.frame["ours"].to_list() == [[read]]


@pytest.mark.parametrize(("part", "read"), [
    ({"type": "thinking", "thinking": "t"}, "<think>t</think>\nv"), ({"type": "thinking", "thinking": ""}, "v"),
    ({"type": "redacted_thinking", "data": "x9"}, "v"), ({"type": "reasoning", "summary": []}, "v"),
    ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]}, "<think>s</think>\nv")])
def test_part_that_is_a_thought_stands_before_the_text(part, read):
    mapped = map_rows([{"a": [part, {"type": "text", "text": "v"}]}], {"ours": Column("a")})
    assert mapped.frame["ours"].to_list() == [[read]]


def test_parts_of_gemini_are_joined_and_a_thought_is_no_solution():
    row = {"parts": [{"text": "t", "thought": True}, {"text": "a "}, {"text": "b"}]}
    assert map_rows([row], {"solution": Column("parts")}).frame["solution"].to_list() == [["<think>t</think>\na b"]]
    plain = {"parts": [{"text": "a "}, {"text": "b"}], "samples": [{"text": "a"}, {"text": "b"}]}
    assert map_rows([plain], {"solution": Column("parts")}).frame["solution"].to_list() == [["a b"]]
    assert map_rows([plain], {"solutions": Column("samples")}, lists={"solutions"}).misfits, "two samples are not one"
    (misfit,) = map_rows([row], {"solution": Column("parts[0].text")}).misfits.values()
    assert "is a thought; map the whole list of parts, 'parts'" in str(misfit)


def test_text_that_holds_a_list_of_texts_is_one_where_a_list_is_asked_for():
    assert texts("json", lists={"ours"}) == ["u", "v"]
    mapped = map_rows([ROW], {"solutions": Column("interval")}, lists={"solutions"})
    assert mapped.frame["solutions"].to_list() == [["[1, 2]"]], "an answer that looks like a list stays an answer"


@pytest.mark.parametrize(("column", "message"), [
    ("a.b.c", r"asks for 'c' of a list; write \[\].c for every element"), ("a", r"is an object with \['b'\]"),
    ("n.k", "of text or a number"),
    ("a.b[0].c.k", "of text or a number"), ("steps[0].all.k", "of a list"),
    ("word.k", "goes on behind a text that is no JSON"),
    ("a[0]", "expects a list at step 2, but there is an object"), ("{list} x", "a template takes one value"),
])
def test_row_that_does_not_fit_says_why(column, message):
    mapped = map_rows([{}, ROW], {"ours": Column(column)})
    assert list(mapped.misfits) == [1]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(mapped.misfits[1])


@pytest.mark.parametrize("column", ["", "a..b", ".a", "[0].a", "a[", "a.b]", "a[0]b", "{}", "a ~ (", "{a", "a.b["])
def test_what_cannot_be_read_is_refused(column):
    with pytest.raises(SourceError, match="mapping"):
        Column(column)


def test_parts_of_a_message_are_one_text_and_a_part_that_is_no_text_drops_the_row():
    assert map_rows([ROW], {"ours": Column("chat[-1].content")}, single={"ours"}).frame["ours"].to_list() == [["vw"]]
    misfits = map_rows([ROW], {"ours": Column("seen")}, single={"ours"}).misfits
    assert str(misfits[0]) == "it has a part that is no text; its parts are ['image_url', 'text']"


def test_list_where_one_solution_is_asked_for_drops_its_row_even_one_of_one_text():
    rows = [{"list": "x"}, {"list": ["x"]}, {"list": "y"}]
    mapped = map_rows(rows, {"solution": Column("list")}, single={"solution"})
    assert mapped.frame["solution"].to_list() == [["x"], None, ["y"]] and list(mapped.misfits) == [1]
    assert "`solutions: list` where each element is a sample, `steps: list`" in str(mapped.misfits[1])


def test_true_is_no_text_that_somebody_wrote_but_may_be_an_answer():
    rows = [{"t": True}, {"t": "true"}, {"t": ["x", False]}]
    for name in ("problem", "solutions", "steps", "thought"):
        mapped = map_rows(rows, {name: Column("t")})
        assert list(mapped.misfits) == [0, 2] and mapped.frame[name].to_list()[1] == ["true"]
    assert map_rows(rows[:1], {"answer": Column("t")}).frame["answer"].to_list() == [["true"]]


def test_half_a_character_and_bytes_are_no_text():
    mapped = map_rows([{"t": "\ud83d"}, {"t": b"x"}, {"t": "é"}], {"ours": Column("t")})
    assert list(mapped.misfits) == [0, 1] and mapped.frame["ours"].to_list() == [None, None, ["é"]]
    assert str(mapped.misfits[0]) == "'t' holds half a character (a lone surrogate)"


def test_texts_are_compared_composed_and_with_white_space_folded():
    assert normal("caf\u0065\u0301\r\n  now ") == normal("caf\u00e9 now") != normal("cafe now")
    assert Path("messages[-1].content").root == "messages"


ASKED, SAID, RETURNED = ({"role": role, "content": role} for role in ("user", "assistant", "tool"))


@pytest.mark.parametrize(("name", "path", "row", "fault"), [
    ("solution", "m[-1].content", {"m": [ASKED, SAID]}, None),
    ("solution", "m[-1].content", {"m": [ASKED, SAID, RETURNED]}, "tool"),
    ("solution", "m[-1].value", {"m": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "q"}]}, "human"),
    ("solution", "m[-1].content", {"m": '[{"role": "user", "content": "q"}]'}, "user"),
    ("solutions", "m[].content", {"m": [ASKED, SAID]}, "user"),
    ("solutions", "m[].content", {"m": [SAID, SAID]}, None),
    ("solutions", "s[].m[-1].content", {"s": [{"m": [ASKED, SAID]}]}, None),
    ("problem", "m[0].value", {"m": [{"from": "System", "value": "s"}, {"from": "human", "value": "q"}]}, "System"),
    ("problem", "m[0].content", {"m": [ASKED]}, None), ("problem", "m[1].content", {"m": [ASKED, SAID]}, "assistant"),
    ("problem", "{m[0].content}", {"m": [RETURNED]}, None), ("answer", "m[-1].content", {"m": [RETURNED]}, None),
    ("problem", "m[3].content", {"m": [ASKED]}, None), ("problem", "content", {"content": "q", "role": "tool"}, None),
    ("solution", "a.value", {"a": {"value": "1", "role": 3}}, None),
    ("steps", "m[].content", {"m": [ASKED, SAID]}, "user"),
    ("steps", "m[-1].s[].t", {"m": [{"s": [{"t": "a"}]}]}, None),
    ("steps", "t.k[].v", {"t": {"k": [{"v": "a", "k": []}]}}, "k"),
    ("solutions", "t.k[].k[].v", {"t": {"k": [{"v": "a", "k": [{"v": "b", "k": None}]}]}}, "k"),
    ("solution", "t.k[0].v", {"t": {"k": [{"v": "a", "k": [{"v": "b"}]}]}}, "k"),
    ("solutions", "o[].o[].v", {"o": [{"o": [{"v": "a"}]}]}, None),
    ("problem", "k[0].v", {"k": [{"v": "a", "k": 1}]}, None),
    ("solutions", "{t.k[0].v}", {"t": {"k": [{"v": "a", "k": []}]}}, None),
    ("solution", "k.v", {"k": {"k": 1, "v": 2}}, None)])
def test_a_message_of_somebody_else_or_a_node_of_a_tree_is_no_problem_and_no_solution(
        name: str, path: str, row: dict, fault: str | None) -> None:
    misfits = map_rows([row], {name: Column(path)}).misfits
    assert bool(misfits) == bool(fault) and repr(fault) in str(misfits.get(0))


TOLD = [ASKED, SAID, ASKED, SAID]


@pytest.mark.parametrize(("path", "row", "reason"), [
    ("m[-1].content", {"m": TOLD}, "several_turns"), ("m[3].content", {"m": TOLD}, "several_turns"),
    ("m[1].content", {"m": TOLD}, None), ("{m[-1].content}", {"m": TOLD}, None),
    ("m[-1].content", {"m": repr(TOLD)}, "several_turns"),
    ("a.m[at].content", {"a": {"m": TOLD, "at": 3}}, "several_turns"),
    ("m[-1].content", {"m": [ASKED, SAID, RETURNED, SAID]}, "several_turns"),
    ("m[-1].content", {"m": [{"role": "system", "content": "s"}, SAID, ASKED, SAID]}, None),
    ("m[-1].content", {"m": [RETURNED, SAID]}, "several_turns"),
    ("m[-1].content", {"m": [ASKED, SAID, ASKED]}, "malformed"),
    ("m[-1].content[0].text", {"m": [*TOLD[:3], {"role": "assistant", "content": [{"text": "a"}]}]}, "several_turns"),
    ("s[].m[-1].content", {"s": [{"m": [ASKED, SAID]}, {"m": TOLD}]}, "several_turns"),
    ("m[-1].value", {"m": [{"from": "human"}, {"from": "gpt"}, {"from": "Human"}, {"from": "gpt", "value": "a"}]},
     "several_turns"), ("s[-1].text", {"s": [{"text": "a"}, {"text": "b"}]}, None)])
def test_an_answer_of_a_later_turn_is_no_solution_of_the_problem(path: str, row: dict, reason: str | None) -> None:
    for name in ("solution", "solutions"):
        misfits = map_rows([row], {name: Column(path)}).misfits
        assert (misfits[0].reason if misfits else None) == reason
    assert map_rows([row], {"answer": Column(path)}).misfits == {}
