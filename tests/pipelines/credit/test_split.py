"""Splitters lose nothing and cut where a reader would."""

import json
import os
import re
from pathlib import Path
from statistics import median
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepforge.pipelines.credit.split import chosen, split
from stepforge.pipelines.options.base import Splitter

NAMES = get_args(Splitter)
PIECES = ["\n", "\n\n", " ", ". ", "$x.$ ", "$", "\\[a. b\\]", "3.5", "Step 2: ", "**Step 3**", "7,", "Wait",
          "<think>", "</think>", "e.g. ", "\r\n", "\u2028", "é", "😀", "。", "So it is 4.\n", "\\begin{align}",
          "\\end{align}", "\t", "\\[", "\\]", "```\n", "| a | b |\n", "|---|---|\n", "$$"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS, min_chars=st.integers(0, 30), max_steps=st.none() | st.integers(1, 6))
def test_pieces_joined_are_the_text_and_none_is_empty(name: str, text: str, min_chars: int, max_steps: int) -> None:
    pieces = split(name, text, min_chars, max_steps)
    assert "".join(pieces) == text
    assert all(pieces)
    assert len(pieces) <= (max_steps or len(pieces))


@pytest.mark.parametrize(("name", "pieces"), [
    ("newline", ["He buys 3.\n", "He pays $6.\n", "#### 6"]),
    ("newline", ["one\n\n", "two\n", "three\n"]),
    ("newline", ["\n\none\r\n", "two"]),
    ("blank_line", ["We add\nthem.\n\n", "The sum is 5.\n \n", "Done."]),
    ("sentence", ["It costs 3.50 dollars. ", "So $x = 2.$ is out! ", "Then 5."]),
    ("sentence", ["Take $a. B$ and \\(c. D\\) now. ", "See \\[x.\n Y\\] too."]),
    ("sentence", ["By e.g. Fig. 2 of J. Doe it holds. ", "Done."]),
    ("sentence", ["1. First we add.\n", "2. Then we stop."]),
    ("sentence", ['He said "it is 4." ', "Then he left.\n\n", "Answer: 4"]),
    ("sentence", ["所以是四。", "完了。"]),
    ("step_heading", ["Plan.\n", "Step 1: add\nthem\n", "## Step 2: stop\n", "**Step 3** go"]),
    ("step_heading", ["As in step 1 we add."]),
    ("newline", ["It costs $2.\n", "He pays $6.\n", "Then $x$ is 3."]),
    ("newline", ["\\[ a. \\]\n", "\\[ b \\\\[2pt]\n c \\]\n", "So."]),
    ("newline", ["\\[ never closed\n", "so\n", "\\[\na\n\\]\n", "end"]),
    ("newline", ["|x| = 3\n", "|y| = 4\n", "done"]),
    ("path", ["12,", "7,", "30"]),
    ("thoughts", ["<think>\n", "Let us add.\n", "Wait, no.\n\n", "It is 4.\n</think>\n\n", "The answer is 4."]),
])
def test_cuts_where_a_reader_would(name: str, pieces: list[str]) -> None:
    assert split(name, "".join(pieces)) == pieces


def test_the_newline_belongs_to_the_step_that_it_closes() -> None:
    assert split("newline", "a\nb\n") == ["a\n", "b\n"]


def test_short_steps_join_the_next_and_a_short_last_one_the_one_before() -> None:
    assert split("newline", "a\nlong enough\nok\n", min_chars=5) == ["a\nlong enough\nok\n"]
    assert split("newline", "Solution:\nWe add 3 and 4.\nIt is 7.\n", min_chars=10) == [
        "Solution:\nWe add 3 and 4.\nIt is 7.\n"]
    assert split("newline", "So:\nWe add 3 and 4.\nThe sum is 7.\n", min_chars=10) == [
        "So:\nWe add 3 and 4.\n", "The sum is 7.\n"]


def test_a_cap_joins_the_shortest_steps_and_leaves_long_ones() -> None:
    assert split("newline", "a long first line\nb\nc\na long last line\n", max_steps=3) == [
        "a long first line\n", "b\nc\n", "a long last line\n"]
    assert len(split("newline", "x\n" * 10_000, max_steps=30)) == 30


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "piece", ["\n", " ", ".", "\\[", "$", "\n ", "\\begin{a}", ". ", "<think>", "Step 1", ",", "(((", "```\n", "|-\n",
              "\\[x\\]\n"])
def test_a_long_run_of_one_thing_does_not_stall_it(name: str, piece: str) -> None:
    assert "".join(split(name, piece * 5_000 + "x", max_steps=5)) == piece * 5_000 + "x"


def test_an_empty_text_has_no_steps_and_an_unknown_splitter_is_named() -> None:
    assert split("sentence", "") == []
    with pytest.raises(ValueError, match="'words' is unknown; allowed: auto, newline, blank_line, sentence"):
        split("words", "a b")


WHOLE = ["\\[\n\nx = 1. So\n\\]", "$$\na\n\n= b. C\n$$", "\\begin{align*}\na &= b. \\\\\n\nc &= d, e\n\\end{align*}",
         "\\(a.\n b\\)", "```python\na = 1. \n\nStep 2 = 3\n```", "~~~\na, b\n\nwait\n~~~",
         "| n | m |\n|---|---|\n| 1. A | 2 |\n| 3 | 4 |", "n | m\n:--|--:\n1, 2 | 3"]


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("name", NAMES)
def test_no_splitter_cuts_inside_mathematics_code_or_a_table(name: str, whole: str) -> None:
    text = (f"Step 1: we add, so. It is\n\n{whole}\n\nStep 2: done, yes. Wait\n\nWe have:\n\n{whole}\n"
            "Step 3: 7, 8. End")
    pieces = split(name, text)
    assert "".join(pieces) == text and len(pieces) > 2
    assert sum(whole in piece for piece in pieces) == (text.count(whole) if name != "step_heading" else 2)
    assert any(f"We have:\n\n{whole}" in piece for piece in pieces), "what a colon announces stays with it"


@pytest.mark.parametrize(("text", "taken"), [
    ("Plan.\n\nStep 1: a\nb\n\nStep 2: c. D", "step_heading"), ("a\nb\n\nc\nd\n\ne\nf", "blank_line"),
    ("a\n\nb\nc. D", "newline"), ("We add. It is 4.\nSo it ends. Yes.", "sentence"),
    ("One.\n\nTwo", "blank_line"), ("one", "step_heading"),
    ("\n\n".join("ab"[i % 2] for i in range(40)), "blank_line"),     # more than 32 of each: merged
    ("\n\n".join(f"{i}\n{i}" for i in range(2)) + "\n" + "x\n" * 40 + "We add. We stop. Done.", "sentence"),
])
def test_auto_takes_the_first_splitter_that_gives_enough_and_not_too_many(text: str, taken: str) -> None:
    assert chosen("auto", text, 32) == taken
    assert split("auto", text, max_steps=32) == split(taken, text, max_steps=32)
    assert chosen("path", text, 32) == "path"


def inside_mathematics(text: str, at: int) -> bool:
    """Whether the next bracket that closes display mathematics behind `at` comes before one that opens it, the one
    before `at` opening: another way to say it than that of the splitters."""
    pairs = ((r"(?<!\\)\\\[", r"(?<!\\)\\\]"), (r"\\begin\{", r"\\end\{"), (r"(?<!\\)\\\(", r"(?<!\\)\\\)"))
    for opening, closing in pairs:
        opened, closed = ([m.start() for m in re.finditer(sign, text)] for sign in (opening, closing))
        last_opened = max((place for place in opened if place < at), default=-1)
        last_closed = max((place for place in closed if place < at), default=-1)
        next_closed = min((place for place in closed if place >= at), default=len(text))
        next_opened = min((place for place in opened if place >= at), default=len(text))
        if last_closed < last_opened and next_closed < next_opened:
            return True
    return False


def real_texts(kind: str) -> list[str]:
    if not (home := os.environ.get("STEPFORGE_TEST_DATA")):
        pytest.skip("STEPFORGE_TEST_DATA names no folder with model solutions")
    if kind == "math":
        lines = (Path(home) / "processbench_math_400.jsonl").read_text(encoding="utf-8").splitlines()
        return [re.sub(r"\n{2,}", "\n", json.loads(line)["solution"]) for line in lines]
    lines = (Path(home) / "samples_gsm8k_10x100_mistral7b.jsonl").read_text(encoding="utf-8").splitlines()
    return [output["response"] for line in lines for output in json.loads(line)["outputs"]]


@pytest.mark.parametrize(("kind", "steps"), [("math", 6), ("gsm8k", 4)])
def test_model_solutions_are_cut_outside_mathematics_into_several_steps(kind: str, steps: int) -> None:
    lengths = []
    for text in real_texts(kind):
        pieces = split("auto", text, max_steps=32)
        lengths.append(len(pieces))
        places = [sum(map(len, pieces[:count])) for count in range(1, len(pieces))]
        assert not any(inside_mathematics(text, place) for place in places), text
    assert median(lengths) == steps and max(lengths) <= 32
    assert sum(length == 1 for length in lengths) == 0
