"""Splitters lose nothing and cut where a reader would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepforge.pipelines.credit.split import SPLITTERS, split

PIECES = ["\n", "\n\n", " ", ". ", "$x.$ ", "$", "\\[a. b\\]", "3.5", "Step 2: ", "**Step 3**", "7,", "Wait",
          "<think>", "</think>", "e.g. ", "\r\n", "\u2028", "é", "😀", "。", "So it is 4.\n", "\\begin{align}",
          "\\end{align}", "\t"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@pytest.mark.parametrize("name", SPLITTERS)
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


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize(
    "piece", ["\n", " ", ".", "\\[", "$", "\n ", "\\begin{a}", ". ", "<think>", "Step 1", ",", "((("])
def test_a_long_run_of_one_thing_does_not_stall_it(name: str, piece: str) -> None:
    assert "".join(split(name, piece * 5_000 + "x", max_steps=5)) == piece * 5_000 + "x"


def test_an_empty_text_has_no_steps_and_an_unknown_splitter_is_named() -> None:
    assert split("sentence", "") == []
    with pytest.raises(ValueError, match="'words' is unknown; allowed: newline, blank_line, sentence"):
        split("words", "a b")
