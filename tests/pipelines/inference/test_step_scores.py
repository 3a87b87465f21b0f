"""A process reward model scores steps in a run as its trainer does."""

from pathlib import Path

import pytest

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.step_scores import score_steps

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


def test_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the reward model .* cannot be loaded"):
        score_steps(str(tmp_path), None, "Add.\n", ["1"])
