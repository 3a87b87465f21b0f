"""KTO takes the tokens as they are: EOS at real ends, and each batch's completions swapped once for the KL term."""

from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import KTOConfig

from stepforge.train.kto import UnpairedTrainer
from stepforge.train.tokens import load_tokenizer


def test_completions_are_swapped_within_a_batch_and_nothing_is_appended(tiny: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt_ids": [10 + i], "completion_ids": [20 + i, 30 + i], "label": i % 2 == 0} for i in range(4)]
    args = KTOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=2)
    trainer = UnpairedTrainer(model=AutoModelForCausalLM.from_pretrained(tiny), args=args,
                              train_dataset=Dataset.from_list(rows), processing_class=load_tokenizer(str(tiny)))
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["input_ids"].tolist() == [[10, 20, 30], [11, 21, 31]]
    assert batch["KL_input_ids"].tolist() == [[10, 21, 31], [11, 20, 30]]
    assert batch["completion_mask"].tolist() == [[0, 1, 1], [0, 1, 1]]
