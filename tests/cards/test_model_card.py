"""The model card: what it was trained on is said and linked, and nothing in the facts can act."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from stepforge.builders.release import ReleaseError
from stepforge.cards.dataset_card import OWN_BEGIN, own_section
from stepforge.cards.model_card import write_model_card

FACTS = {"name": "pears-sft", "method": "sft", "base_model": "org/base", "dataset": "org/pears", "config": "positives",
         "dataset_version": "1.1.0", "settings": {"learning_rate": 1e-5}, "license": "apache-2.0", "seed": 0,
         "packages": {"trl": "1.16.0"}, "measures": [{"generator": "pears-sft", "measure": "accuracy", "k": None,
                                                      "value": 0.5, "low": 0.4, "high": 0.6, "n": 100}]}


def test_the_card_links_base_and_data(tmp_path: Path) -> None:
    card = ModelCard.load(write_model_card(tmp_path, FACTS))
    assert card.data.base_model == "org/base" and card.data.datasets == ["org/pears"]
    for told in ("`positives`", "v1.1.0", "`1e-05`", "0.400 to 0.600", "trl 1.16.0", "Seed 0"):
        assert told in card.text


def test_the_own_section_survives(tmp_path: Path) -> None:
    path = write_model_card(tmp_path, FACTS)
    path.write_text(path.read_text().replace(f"{OWN_BEGIN}\n", f"{OWN_BEGIN}\nmine"))
    assert own_section(write_model_card(tmp_path, FACTS).read_text()) == "mine"


def test_facts_stay_text(tmp_path: Path) -> None:
    hostile = "x</p><script>alert(1)</script>|`\n# h"
    facts = {**FACTS, "name": hostile, "method": hostile, "settings": {hostile: hostile}}
    body = ModelCard.load(write_model_card(tmp_path, facts)).text
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert "<script" not in html and html.count("<h1>") == 1


@pytest.mark.parametrize("facts", [{"name": "x"}, {**FACTS, "token": "secret"}])
def test_missing_and_unknown_facts_are_named(tmp_path: Path, facts: dict) -> None:
    with pytest.raises(ReleaseError, match="missing .*unknown .*allowed are"):
        write_model_card(tmp_path, facts)
