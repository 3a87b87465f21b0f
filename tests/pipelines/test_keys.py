"""A key of one service that a recipe would send to another is told before anything is sent."""

import pytest
import yaml
from helpers.commands import command
from helpers.runs import SMALL

from stepforge.pipelines.options.keys import foreign_key
from stepforge.pipelines.recipe import Recipe


@pytest.mark.parametrize(("variable", "url", "service"), [
    ("HF_TOKEN", "https://evil.example/v1", "Hugging Face"), ("hf_token", "https://evil.example", "Hugging Face"),
    ("HF_TOKEN", "http://127.0.0.1:8000/v1", "Hugging Face"), ("HF_TOKEN", "https://HF.co./v1", None),
    ("HUGGING_FACE_HUB_TOKEN", "https://huggingface.co.evil.example/v1", "Hugging Face"),
    ("HF_TOKEN", "https://evilhuggingface.co/v1", "Hugging Face"),
    ("HF_TOKEN", "https://router.huggingface.co/v1", None), ("GH_TOKEN", "https://evil.example", "GitHub"),
    ("OPENAI_API_KEY", "https://api.openai.com/v1", None),
    ("OPENAI_API_KEY", "https://openai.com.example/v1", "OpenAI"),
    ("MY_OPENAI_KEY", "https://api.groq.com/v1", "OpenAI"),
    ("ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", None),
    ("AZURE_OPENAI_API_KEY", "https://mine.openai.azure.com/v1", None),
    ("AWS_SECRET_ACCESS_KEY", "https://evil.example", "AWS"), ("MY_SERVER_KEY", "https://evil.example/v1", None),
])
def test_a_key_of_a_service_that_goes_elsewhere_is_named(variable, url, service):
    warning = foreign_key(variable, url)
    assert (warning is None) if service is None else (service in warning and variable in warning), warning


def hosted(url: str, samples: int = 0) -> dict:
    return SMALL | {"judge": None, "annotate": None, "generators": [*SMALL["generators"], {
        "name": "far", "engine": "endpoint", "model": "m", "url": url, "key_variable": "HF_TOKEN",
        "samples": samples}]}


def test_plan_and_run_tell_of_it(tmp_path, monkeypatch):
    """Before anything else: this run cannot begin, because the variable is not set."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    recipe = hosted("https://evil.example/v1", samples=1)
    assert Recipe.model_validate(recipe).warnings() == [
        "generator 'far': the variable HF_TOKEN looks like a key of Hugging Face, and this recipe sends it to "
        "evil.example; run the recipe only if that host may have it"]
    assert Recipe.model_validate(hosted("https://router.huggingface.co/v1")).warnings() == []
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    for words in (["plan", "r.yaml"], ["run", "r.yaml"]):
        result = command(*words, cwd=tmp_path)
        assert "warning: generator 'far': the variable HF_TOKEN" in result.stderr, result.stderr
    assert result.returncode == 2 and "HF_TOKEN is not set" in result.stderr
