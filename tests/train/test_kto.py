"""KTO takes the tokens as they are: EOS at real ends, and each batch's completions swapped once for the KL term."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import KTOConfig

from stepforge.train.kto import UnpairedTrainer, swap
from stepforge.train.tokens import load_tokenizer


def test_completions_are_swapped_within_a_batch_and_nothing_is_appended(tiny: Path, tmp_path: Path) -> None:
    """Eight problems of eight solutions each, one after another as a release has them, in batches of eight."""
    rows: list[dict[str, Any]] = [
        {"prompt_ids": [10 + i // 8], "completion_ids": [100 + i, 30], "label": i % 2 == 0} for i in range(64)]
    args = KTOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=8)
    trainer = UnpairedTrainer(model=AutoModelForCausalLM.from_pretrained(tiny), args=args,
                              train_dataset=Dataset.from_list(rows), processing_class=load_tokenizer(str(tiny)))
    batches = list(trainer.get_train_dataloader())
    seen = [row for batch in batches for row in batch["input_ids"].tolist()]
    assert sorted(seen) == [[*row["prompt_ids"], *row["completion_ids"]] for row in rows]
    own = 0
    for batch in batches:
        matched, mismatched = batch["input_ids"].tolist(), batch["KL_input_ids"].tolist()
        assert [row[0] for row in mismatched] == [row[0] for row in matched]
        assert sorted(row[1:] for row in mismatched) == sorted(row[1:] for row in matched)
        assert batch["completion_mask"].tolist() == [[0, 1, 1]] * 8
        own += sum(prompt == 10 + (completion - 100) // 8 for prompt, completion, _ in mismatched)
    assert own <= 8  # in the order of the release all 64 would be


@pytest.mark.parametrize(("prompts", "swapped"), [
    ([1, 2, 3], [30, 10, 20]),           # by one row, as the trainer's own swap
    ([1, 1, 2, 2], [30, 40, 10, 20]),    # by two, since one would give two prompts a completion of theirs
    ([1, 1, 1, 2], [40, 10, 20, 30]),    # no turn is free of them: the first of those with the fewest
    ([1], [10])])
def test_prompts_get_a_completion_of_another_problem_where_the_batch_has_one(
    prompts: list[int], swapped: list[int]
) -> None:
    batch = {"prompt_ids": [[one] for one in prompts], "completion_ids": [[10 * (i + 1)] for i in range(len(prompts))]}
    assert swap(batch) == {"KL_completion_ids": [[one] for one in swapped]}
