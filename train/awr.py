"""Advantage-weighted regression: supervised fine-tuning in which every step weighs what its advantage is worth.

    python -m stepforge.train.awr --config tiny_awr --dataset PATH

In: config `weighted`, solutions, correct and incorrect, with the character offsets behind their steps and a weight for
each, w = min(exp(A/beta), w_max), of mean 1 over the release (DESIGN.md), or null where it is unknown: such a step is
not trained on. Loss: -sum(w * log p) / n over n tokens; where every weight is 1 it is the loss of sft.py, to the last
bit. EOS weighs as much as the last step.
"""

from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.release import ReleaseError
from stepforge.train.script import start, user_errors
from stepforge.train.tokens import encode, labelled, step_of_each_token

COLUMNS = {"prompt": "text", "completion": "text", "ends": "list of int", "weights": "list of real"}


class WeightedTrainer(SFTTrainer):
    """SFT on rows with a further column `weights`, one for each of `input_ids`; without packing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.data_collator: Any = WeightedCollator(self.data_collator)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["input_ids", "labels", "weights"]

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Weighted mean of the tokens' negative log-likelihoods, over the tokens of the whole accumulated batch."""
        weights = inputs.pop("weights")
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)  # log_probs: (rows, length - 1), 0 where masked
        count = outputs.label_mask.sum() if num_items_in_batch is None else num_items_in_batch
        loss = -(weights[:, 1:] * outputs.log_probs).sum() / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # processes are averaged, and this sums over all of them
        return (loss, outputs) if return_outputs else loss


class WeightedCollator:
    """Pads a batch as the trainer's own collator does, and the weights along with it."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self.collate(rows)
        weights = torch.zeros(batch["input_ids"].shape)
        for index, row in enumerate(rows):
            weights[index, :len(row["weights"])] = torch.tensor(row["weights"])
        return batch | {"weights": weights}


def encode_row(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]) -> dict[str, Any]:
    """Token columns of a row: the weight of each step spread over its tokens, 0 over the prompt's."""
    tokens = encode(tokenizer, row["prompt"], row["completion"], row.get("complete") is not False)
    if len(row["weights"]) != len(row["ends"]):
        raise ReleaseError(f"a row has {len(row['weights'])} weights and {len(row['ends'])} ends of steps; there must "
                           "be one weight for each step: the release is not as it was built")
    steps = step_of_each_token(tokens, row["ends"], len(row["completion"]))
    weights = [0.0] * len(tokens.prompt) + [row["weights"][step] or 0.0 for step in steps]  # null where unknown
    return labelled(tokens) | {"weights": weights}


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("awr"):
        run = start("awr", argv, ReleaseArguments, SFTConfig, config="weighted")
        if run.training.packing or run.training.padding_free:
            raise ReleaseError("awr cannot pack: each row has its own weights; leave out --packing and --padding_free")
        run.fit(run.trainer(WeightedTrainer, *run.rows(COLUMNS, lambda row: encode_row(run.tokenizer, row))))


if __name__ == "__main__":
    main()
