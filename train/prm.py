"""A process reward model: it reads a solution and says, at the end of every step, how likely a right answer is.

    python -m stepforge.train.prm --config tiny_prm --dataset PATH

In: config `stepwise`, a prompt, the steps, and of each step its value Q in [0, 1] from rollouts (soft), or its label
where there is none; a step with neither is masked. The model classifies tokens in two classes, wrong and right; the
target stands on each step's last token, all other tokens carry no loss. Loss: cross entropy against the value, the
soft estimation of Math-Shepherd (arXiv 2312.08935). TRL has no trainer for this any more.

`score_steps` gives a trained model's values of a solution's steps, for best-of-n.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from trl import get_peft_config, get_quantization_config

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.release import ReleaseError
from stepforge.train.script import start, user_errors
from stepforge.train.tokens import IGNORE, Tokens, encode, step_of_each_token

COLUMNS = {"prompt": "text", "completions": "list of text", "labels": "list of bool", "values": "list of real"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    hard_labels: bool = field(default=False, metadata={"help": "Train on the labels alone and leave the values out."})


@dataclass
class PRMConfig(TrainingArguments):
    """transformers' own arguments, with the ones that TRL's trainers add."""

    max_length: int | None = field(default=1024, metadata={"help": "Rows of more tokens are dropped and counted."})
    model_init_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "More arguments for from_pretrained."})


class StepTrainer(Trainer):
    """Cross entropy between the two classes' probabilities and soft targets; `labels` are reals, -100 where none."""

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        targets = inputs.pop("labels")
        outputs = model(**inputs)
        found = targets != IGNORE
        scores, targets = outputs.logits[found].float(), targets[found]
        losses = torch.nn.functional.cross_entropy(
            scores, torch.stack((1 - targets, targets), dim=1), reduction="sum")
        count = found.sum() if num_items_in_batch is None else num_items_in_batch
        loss = losses / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def last_tokens(
    tokenizer: PreTrainedTokenizerBase, prompt: str, steps: Sequence[str]
) -> tuple[Tokens, list[int | None]]:
    """Tokens of prompt and steps, and of each step the index in the completion of its last token.

    None for a step all of whose text is swallowed by a token of the next one (white space, mostly).
    """
    tokens = encode(tokenizer, prompt, "".join(steps), complete=False)
    ends = list(accumulate(len(step) for step in steps))
    of_token = step_of_each_token(tokens, ends, ends[-1] if ends else 0)
    last = {step: index for index, step in enumerate(of_token)}
    return tokens, [last.get(step) for step in range(len(steps))]


def encode_row(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], hard_labels: bool) -> dict[str, Any]:
    """Token columns of a row: the target of each step on its last token."""
    steps, labels, values = row["completions"], row["labels"], row["values"]
    if not len(steps) == len(labels) == len(values):
        raise ReleaseError(f"a row has {len(steps)} steps, {len(labels)} labels and {len(values)} values; there must "
                           "be one of each for every step: the release is not as it was built")
    tokens, last = last_tokens(tokenizer, row["prompt"], steps)
    targets = [float(IGNORE)] * (len(tokens.prompt) + len(tokens.completion))
    for index, label, value in zip(last, labels, values, strict=True):
        target = label if hard_labels or value is None else value
        if index is not None and target is not None:
            targets[len(tokens.prompt) + index] = float(target)
    return {"input_ids": tokens.prompt + tokens.completion, "labels": targets, "length": len(targets)}


def collate(rows: list[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Batch of (rows, longest) tensors, padded on the right."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), pad_token_id)
    labels, seen = torch.full(ids.shape, float(IGNORE)), torch.zeros_like(ids)
    for index, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[index, :length], seen[index, :length] = torch.tensor(row["input_ids"]), 1
        labels[index, :length] = torch.tensor(row["labels"])
    return {"input_ids": ids, "attention_mask": seen, "labels": labels}


@torch.no_grad()
def score_steps(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, steps: Sequence[str]
) -> list[float]:
    """The model's value of every step, in [0, 1]; a step without a token of its own has the value of the next one."""
    tokens, last = last_tokens(tokenizer, prompt, steps)
    ids = torch.tensor([tokens.prompt + tokens.completion], device=model.device)
    right = model(input_ids=ids).logits[0].float().softmax(-1)[len(tokens.prompt):, 1].tolist()
    scores: list[float] = []
    for index in reversed(last):
        scores.append(scores[-1] if index is None else right[index])
    return scores[::-1]


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; see `start` and `Run` of script.py."""
    with user_errors("prm"):
        run = start("prm", argv, Arguments, PRMConfig, config="stepwise")
        train, evaluation = run.rows(COLUMNS, lambda row: encode_row(run.tokenizer, row, run.script.hard_labels))
        model = AutoModelForTokenClassification.from_pretrained(
            run.model.model_name_or_path, num_labels=2, id2label={0: "wrong", 1: "right"},
            quantization_config=get_quantization_config(run.model), **run.training.model_init_kwargs)
        adapters = get_peft_config(run.model)
        if adapters is not None:
            from peft import TaskType, get_peft_model

            adapters.task_type = TaskType.TOKEN_CLS  # keeps the new head trainable and saves it with the adapters
            model = get_peft_model(model, adapters)
        model.config.pad_token_id = run.tokenizer.pad_token_id
        run.fit(StepTrainer(
            model=model, args=run.training, train_dataset=train, eval_dataset=evaluation,
            processing_class=run.tokenizer,
            data_collator=lambda rows: collate(rows, run.tokenizer.pad_token_id)))


if __name__ == "__main__":
    main()
