"""The process reward model's targets stand on the last token of each step, and its scores come from there."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from stepforge.train.prm import StepTrainer, collate, encode_row, last_tokens, score_steps
from stepforge.train.release import ReleaseError
from stepforge.train.tokens import IGNORE, load_tokenizer

STEPS = ["1 + 2 = 3\n", "3 + 4 = 8\n", "The answer is 8."]
ROW = {"prompt": "Add 1, 2, 4.\n", "completions": STEPS, "labels": [True, False, False], "values": [0.75, 0.0, None]}


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(tiny))


@pytest.mark.parametrize(("hard", "expected"), [(False, [0.75, 0.0, 0.0]), (True, [1.0, 0.0, 0.0])])
def test_targets_stand_on_the_last_token_of_each_step(
    tokenizer: PreTrainedTokenizerBase, hard: bool, expected: list[float]
) -> None:
    found = encode_row(tokenizer, ROW, hard)
    marked = [index for index, target in enumerate(found["labels"]) if target != IGNORE]
    assert [found["labels"][index] for index in marked] == expected
    texts = [tokenizer.decode(found["input_ids"][:index + 1]) for index in marked]
    assert texts == ["Add 1, 2, 4.\n" + "".join(STEPS[:count]) for count in (1, 2, 3)]


def test_step_without_a_token_of_its_own_has_no_target_and_the_next_ones_score(
    tokenizer: PreTrainedTokenizerBase, tiny: Path
) -> None:
    steps = ["The ans", "wer is 3."]  # one token, " answer", holds the end of the first step
    _, last = last_tokens(tokenizer, "Add.\n", steps)
    assert last[0] is not None  # "The" ends before the cut
    steps = ["The", " ans", "wer is 3."]
    _, last = last_tokens(tokenizer, "Add.\n", steps)
    assert last[1] is None
    model = AutoModelForTokenClassification.from_pretrained(tiny, num_labels=2)
    scores = score_steps(model, tokenizer, "Add.\n", steps)
    assert scores[1] == scores[2] and len(scores) == 3


def test_loss_is_the_cross_entropy_against_the_values(tiny: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    model = AutoModelForTokenClassification.from_pretrained(tiny, num_labels=2).eval()
    scores = score_steps(model, tokenizer, ROW["prompt"], STEPS)  # type: ignore[arg-type]
    expected = sum(-(v * torch.log(torch.tensor(s)) + (1 - v) * torch.log(torch.tensor(1 - s)))
                   for v, s in zip([0.75, 0.0, 0.0], scores, strict=True)) / 3
    row = {key: value for key, value in encode_row(tokenizer, ROW, False).items() if key != "length"}
    trainer = StepTrainer.__new__(StepTrainer)  # its loss needs no trainer built around it
    trainer.args = type("Args", (), {"average_tokens_across_devices": False})()
    loss = trainer.compute_loss(model, collate([row], 1))
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


def test_row_with_a_value_too_few_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ReleaseError, match="3 steps, 3 labels and 2 values"):
        encode_row(tokenizer, ROW | {"values": [0.5, 0.5]}, False)


@pytest.mark.parametrize("hard_labels", [True, False])
def test_step_with_neither_value_nor_label_is_masked(tokenizer: PreTrainedTokenizerBase, hard_labels: bool) -> None:
    known = encode_row(tokenizer, ROW, hard_labels)["labels"]
    row = ROW | {"labels": [True, None, None], "values": [0.75, None, None]}
    targets = encode_row(tokenizer, row, hard_labels)["labels"]
    first = next(index for index, target in enumerate(known) if target != IGNORE)
    assert [index for index, target in enumerate(targets) if target != IGNORE] == [first]
