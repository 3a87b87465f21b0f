"""Direct preference optimisation on pairs of whole responses: the controls that per-step pairs are measured against.

    python -m stepforge.train.dpo --config tiny_dpo --dataset PATH --rule random

In: config `pairs`, the rows of one `rule` (random, or max_edit_distance). Both sides are whole solutions, so both end
in EOS. `PairTrainer` is TRL's trainer on pairs that are tokens already; the per-step method uses it too.
"""

from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.script import chosen_by, start, user_errors
from stepforge.train.tokens import encode

COLUMNS = {"prompt": "text", "chosen": "text", "rejected": "text", "rule": "text"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    rule: str = field(default="random", metadata={"help": "Pairs of this rule: random or max_edit_distance."})


class PairTrainer(DPOTrainer):
    """DPO on rows of prompt_ids, chosen_ids and rejected_ids, taken as they are: nothing is appended or cut."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def encode_pair(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]) -> dict[str, Any]:
    """Token columns of a pair, each side with EOS unless the row says that the model does not end there."""
    chosen = encode(tokenizer, row["prompt"], row["chosen"], row.get("chosen_complete", True))
    rejected = encode(tokenizer, row["prompt"], row["rejected"], row.get("rejected_complete", True))
    longest = len(chosen.prompt) + max(len(chosen.completion), len(rejected.completion))
    return {"prompt_ids": chosen.prompt, "chosen_ids": chosen.completion, "rejected_ids": rejected.completion,
            "length": longest}


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("dpo"):
        run = start("dpo", argv, Arguments, DPOConfig, config="pairs")
        keep = chosen_by("rule", run.script.rule)
        run.fit(run.trainer(PairTrainer, *run.rows(COLUMNS, lambda row: encode_pair(run.tokenizer, row), keep)))


if __name__ == "__main__":
    main()
