"""The license of a model: from its folder, from the Hub, or unknown; a Hub out of reach stops nothing."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from stepforge.pipelines.inference import model_card


@pytest.fixture(autouse=True)
def forgotten():
    model_card.license_of.cache_clear()
    yield
    model_card.license_of.cache_clear()


@pytest.mark.parametrize(("card", "license"), [
    ("---\nlicense: llama3.1\n---\n", "llama3.1"),
    ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research"),
    ("---\nlicense: other\n---\n", "other"), ("# no header\n", None), ("---\nlicense: [a, b]\n---\n", None),
    ("---\nlicense: {a: 1}\n---\n", None), ("---\n[\n---\n", None),
    ("---\nlicense: " + "x" * 500 + "\n---\n", "x" * 100)])
def test_a_folder_with_a_card(tmp_path: Path, card: str, license: str | None) -> None:
    (tmp_path / "README.md").write_text(card)
    assert model_card.license_of(str(tmp_path)) == license


def test_the_shipped_model_a_bare_folder_and_a_name_of_a_server(tmp_path: Path) -> None:
    assert model_card.license_of("tiny") == "apache-2.0"
    assert model_card.license_of(str(tmp_path)) is None and model_card.license_of("gpt-x") is None


def test_a_hub_out_of_reach_leaves_the_license_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def offline(self: HfApi, model: str, **more: object) -> None:
        asked.append((model, more["timeout"]))
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(HfApi, "model_info", offline)
    assert [model_card.license_of("org/model") for _ in range(2)] == [None, None]
    assert asked == [("org/model", model_card.WAIT_S)]
