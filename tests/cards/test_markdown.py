"""Characters that act instead of being seen are written as their numbers, wherever text of others stands on a card."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stepforge.cards.dataset_card import write_card
from stepforge.cards.markdown import clean, code, escape, excerpt, fence, table

ACTING = "a\x1b[31mb\x00c\u202ed\x07\u200be\x9bf"


@pytest.mark.parametrize("make", [escape, code, fence, excerpt, lambda text: table([text], [[text]])])
def test_no_acting_character_comes_through(make: Callable[[str], str]) -> None:
    shown = make(ACTING)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "x1b" in shown and "x00" in shown and "x202e" in shown and "d" in shown


def test_what_can_be_seen_stays() -> None:
    text = "π ≈ 3.14\n√2 · 日本 – “q”"
    assert clean(text) == text


def test_groups_sources_and_names_cannot_act_on_a_card(make_release: Callable[..., Path]) -> None:
    row = {"generator": f"g{ACTING}", "measure": "coverage", "k": 1, "value": 0.5, "low": None, "high": None, "n": 1,
           "excluded": 0}
    folder = make_release(
        pretty_name=f"Pears {ACTING}", licenses={f"source {ACTING}": f"license {ACTING}"},
        measures=[row, {**row, "by": "subject", "group": ACTING}, {**row, "by": "subject", "group": "b"}],
        generators=[{"name": ACTING, "model": ACTING, "license": ACTING, "engine": ACTING}])
    text = write_card(folder).read_text(encoding="utf-8")
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
