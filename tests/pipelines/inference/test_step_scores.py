"""A process reward model scores steps in a run as its trainer does."""

import json
import shutil
from pathlib import Path

import pytest

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.step_scores import OF_STEPS, score_steps

CASES = [("Add 1, 2, 4.\n", ["1 + 2 = 3\n", "3 + 4 = 8\n", "The answer is 8."]),
         ("Add.\n", ["The", " ans", "wer is 3."]), ("Add", ["1", "2\n", "\n3"])]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's body with a random head of two classes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("prm")
    torch.manual_seed(0)
    transformers.AutoModelForTokenClassification.from_pretrained(SHIPPED, num_labels=2).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(SHIPPED).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("prompt", "steps"), CASES)
def test_scores_are_those_of_the_trainer(model: Path, prompt: str, steps: list[str]) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch, prm = pytest.importorskip("torch"), pytest.importorskip("stepforge.train.prm")
    trained = AutoModelForTokenClassification.from_pretrained(model).eval()
    tokens, last = prm.last_tokens(AutoTokenizer.from_pretrained(model), prompt, steps)
    with torch.no_grad():
        right = trained(input_ids=torch.tensor([tokens.prompt + tokens.completion])).logits[0].softmax(-1)[:, 1]
    at = [index if index is not None else last[step + 1] for step, index in enumerate(last)]
    expected = right[[len(tokens.prompt) + index for index in at]].tolist()
    assert score_steps(str(model), None, prompt, steps) == pytest.approx(expected, abs=1e-6)
    assert len(set(expected)) > 1


def test_a_solution_that_is_too_long_has_no_scores(model: Path) -> None:
    assert score_steps(str(model), None, "Add.\n", ["1 + 1 = 2\n"] * 300) is None


def test_scores_of_steps_make_one_by_three_rules() -> None:
    assert {name: rule([0.9, 0.5, 0.8]) for name, rule in OF_STEPS.items()} == pytest.approx(
        {"min": 0.5, "last": 0.8, "product": 0.36})


@pytest.mark.parametrize("device", ["quantum", "cuda:99"])
def test_a_device_that_is_not_there_is_told(model: Path, device: str) -> None:
    with pytest.raises(UserError, match=f"the device '{device}' cannot hold the reward model"):
        score_steps(str(model), None, "Add.\n", ["1"], device)


def test_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the reward model .* cannot be loaded"):
        score_steps(str(tmp_path), None, "Add.\n", ["1"])


def test_a_model_that_writes_is_refused_since_its_head_would_be_random() -> None:
    with pytest.raises(UserError, match="is a LlamaForCausalLM; allowed: one that classifies tokens"):
        score_steps(str(SHIPPED), None, "Add.\n", ["1"])


@pytest.mark.parametrize("classes", [1, 3])
def test_a_model_of_other_classes_is_refused(model: Path, tmp_path: Path, classes: int) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    labels = {str(index): f"L{index}" for index in range(classes)}
    config |= {"id2label": labels, "label2id": {name: int(index) for index, name in labels.items()}}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"has {classes} classes"):
        score_steps(str(other), None, "Add.\n", ["1"])


def test_weights_that_are_missing_are_told(model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / "model.safetensors").unlink()
    with pytest.raises(UserError, match="the reward model .* cannot be loaded"):
        score_steps(str(other), None, "Add.\n", ["1"])
