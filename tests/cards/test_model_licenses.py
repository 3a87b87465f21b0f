"""What a card and a manifest say of the licenses of models: permitted, conditions, forbidden, or unknown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stepforge.cards.dataset_card import write_card
from stepforge.cards.model_licenses import TERMS, terms_of


@pytest.mark.parametrize(("license", "word"), [
    ("apache-2.0", "permitted"), ("MIT ", "permitted"), ("llama3", "forbidden"), ("llama3.1", "conditions"),
    ("gemma", "conditions"), ("cc-by-nc-4.0", "conditions"),
    ("qwen", "conditions"), ("openrail", "unknown"), ("somebody's own", "unknown"), (None, "unknown")])
def test_terms_by_name(license: str | None, word: str) -> None:
    assert terms_of(license).word == word


def test_every_license_is_named_as_the_hub_writes_it() -> None:
    assert all(name == name.strip().lower() for name in TERMS)


@pytest.mark.parametrize(("license", "clause"), [
    ("llama2", "forbids improving another language model"), ("llama3", "models of the same family are exempt"),
    ("llama3.1", "begins with Llama"), ("llama4", "begins with Llama"), ("qwen", "built with, or improved using, Q"),
    ("qwen-research", "no commercial use"), ("qwen-research", "Qwen"), ("mrl", "research alone, for output as"),
    ("gemma", "derivative"), ("deepseek", "derivative"), ("creativeml-openrail-m", "derivative")])
def test_the_clause_of_a_license_is_said(license: str, clause: str) -> None:
    assert clause in terms_of(license).sentence


@pytest.mark.parametrize(("license", "says", "limit"), [
    ("llama3", "| `llama3`; forbidden: ", "forbids training other models on its output"),
    (None, "| none named; unknown: Read the license", "The license of a model is unknown"),
    ("mit", "| `mit`; permitted: ", "")])
def test_the_card_says_what_a_license_says(make_release: Callable[..., Path], license: str | None, says: str,
                                           limit: str) -> None:
    folder = make_release(only=("positives",), generators=[{"name": "g", "model": "m", "license": license}])
    text = write_card(folder).read_text(encoding="utf-8")
    limits = text.split("## Known limits")[1].split("\n## ")[0]
    assert says in text and limit in limits and ("license" in limits) == bool(limit)


def test_a_manifest_that_names_no_licenses_makes_no_claim(make_release: Callable[..., Path]) -> None:
    folder = make_release(only=("positives",), generators=[])
    assert "license of a model" not in write_card(folder).read_text(encoding="utf-8")
    assert json.loads((folder / "stepforge.json").read_text())["generators"] == []
