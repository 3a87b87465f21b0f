"""Kahneman-Tversky optimisation: correct and incorrect solutions that need no pairing.

    python -m stepforge.train.kto --config tiny_kto --dataset PATH

In: config `unpaired`, whole solutions with a label. TRL's trainer would tokenize and append EOS by itself; ours takes
the tokens as they are and adds only the mismatched completions from which the KL term is estimated (Ethayarajh et al.,
arXiv 2402.01306, section 4.1). A release lists the solutions of a problem one after another, and this trainer reads
rows in their order: rows are shuffled first, so that a batch holds several problems to swap completions between.
"""

from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.script import start, user_errors
from stepforge.train.tokens import encode

COLUMNS = {"prompt": "text", "completion": "text", "label": "bool"}


class UnpairedTrainer(KTOTrainer):
    """KTO on rows of prompt_ids, completion_ids and label; batches of 2 or more, since completions swap prompts."""

    def _prepare_dataset(self, dataset: Dataset, processing_class: Any, args: KTOConfig, name: str) -> Dataset:
        return dataset.shuffle(seed=args.seed).map(
            swap, batched=True, batch_size=args.per_device_train_batch_size, desc=f"Swapping {name}")


def swap(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Each prompt with a completion of some rows before: as few as leave the fewest prompts with one of their own."""
    prompts, completions = batch["prompt_ids"], batch["completion_ids"]

    def own(turn: int) -> int:
        return sum(prompts[row] == prompts[row - turn] for row in range(len(prompts)))

    turn = min(range(1, max(2, len(prompts))), key=own)
    return {"KL_completion_ids": [completions[row - turn] for row in range(len(prompts))]}


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("kto"):
        run = start("kto", argv, ReleaseArguments, KTOConfig, config="unpaired")

        def encode_row(row: dict[str, Any]) -> dict[str, Any]:
            tokens = encode(run.tokenizer, row["prompt"], row["completion"], row.get("complete") is not False)
            return {"prompt_ids": tokens.prompt, "completion_ids": tokens.completion, "label": row["label"],
                    "length": len(tokens.prompt) + len(tokens.completion)}

        run.fit(run.trainer(UnpairedTrainer, *run.rows(COLUMNS, encode_row)))


if __name__ == "__main__":
    main()
