"""Advantage-weighted regression is SFT where all weights are 1, and weighs tokens by their step's weight elsewhere."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from stepforge.train.awr import WeightedTrainer, encode_row, main
from stepforge.train.release import ReleaseError, open_release
from stepforge.train.tokens import IGNORE, load_tokenizer

WEIGHTED = {"prompt": "text"}


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(tiny))


def encoded(release: Path, tokenizer: PreTrainedTokenizerBase, weights: list[float] | None = None) -> Dataset:
    rows = open_release(str(release), "v1.0.0").rows("weighted", "train", WEIGHTED)
    made = [encode_row(tokenizer, row | ({"weights": weights} if weights else {})) for row in rows]
    return Dataset.from_list(made).remove_columns("length")


def loss_and_gradients(kind: type, rows: Dataset, tiny: Path, tokenizer: Any, out: Path) -> tuple[Any, list[Any]]:
    args = SFTConfig(output_dir=str(out), use_cpu=True, bf16=False, per_device_train_batch_size=6, max_length=None,
                     gradient_checkpointing=False)
    trainer = kind(model=AutoModelForCausalLM.from_pretrained(tiny), args=args, train_dataset=rows,
                   processing_class=tokenizer)
    batch = next(iter(trainer.get_train_dataloader()))
    items = (batch["labels"] != IGNORE).sum()
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=items)
    loss.backward()
    return loss.detach(), [p.grad for p in trainer.model.parameters()]


def test_weight_one_has_the_loss_and_the_gradient_of_sft_to_the_last_bit(
    tiny: Path, release: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = encoded(release, tokenizer, [1.0, 1.0, 1.0])
    plain = loss_and_gradients(SFTTrainer, rows.remove_columns("weights"), tiny, tokenizer, tmp_path)
    weighted = loss_and_gradients(WeightedTrainer, rows, tiny, tokenizer, tmp_path)
    assert torch.equal(plain[0], weighted[0])
    assert all(torch.equal(a, b) for a, b in zip(plain[1], weighted[1], strict=True))


def test_weighted_loss_is_the_weighted_mean_of_the_tokens_losses(
    tiny: Path, release: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = encoded(release, tokenizer).select(range(6))
    loss, _ = loss_and_gradients(WeightedTrainer, rows, tiny, tokenizer, tmp_path)
    model, total, count = AutoModelForCausalLM.from_pretrained(tiny), 0.0, 0
    for row in rows:
        logs = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].log_softmax(-1)
        for index, (label, weight) in enumerate(zip(row["labels"][1:], row["weights"][1:], strict=True)):
            if label != IGNORE:
                total, count = total - weight * logs[index, label].item(), count + 1
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_every_token_weighs_what_its_step_weighs_and_eos_what_the_last_one_does(
    release: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    row = open_release(str(release), "v1.0.0").rows("weighted", "train", WEIGHTED)[0]
    encoded = encode_row(tokenizer, row)
    by_weight: dict[float, list[int]] = {}
    for token, weight in zip(encoded["input_ids"], encoded["weights"], strict=True):
        by_weight.setdefault(weight, []).append(token)
    texts = {weight: tokenizer.decode(tokens) for weight, tokens in by_weight.items()}
    start, end = row["ends"][:2]
    text = row["completion"]
    assert texts == {0.0: row["prompt"], 1.5: text[:start], 0.25: text[start:end], 1.25: text[end:] + "<eos>"}


def test_step_without_a_weight_is_not_trained_on(tokenizer: PreTrainedTokenizerBase) -> None:
    row = {"prompt": "Add.\n", "completion": "12 34", "ends": [2, 5], "weights": [None, 1.5]}
    known = encode_row(tokenizer, row | {"weights": [0.5, 1.5]})["weights"]
    assert encode_row(tokenizer, row)["weights"] == [0.0 if weight == 0.5 else weight for weight in known]
    assert {0.5, 1.5} < set(known)


def test_row_with_a_weight_too_few_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ReleaseError, match="2 weights and 3 ends"):
        encode_row(tokenizer, {"prompt": "Add.\n", "completion": "abc", "ends": [1, 2, 3], "weights": [1.0, 1.0]})


def test_packing_is_refused(
    tiny: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny), "--output_dir",
              str(tmp_path), "--packing"])
    assert "awr cannot pack" in capsys.readouterr().err
